"""Writes tests/fixtures/nf4/*.safetensors with bitsandbytes' NF4 and its double quantisation.

    pip install torch bitsandbytes safetensors
    python tests/golden/make_nf4.py

Of each matrix: the source, the codes (one a byte), and the constants of
`quantize_4bit(A, blocksize=64, compress_statistics=True, quant_type="nf4")`: offset, scales (one
for 256 absolute maxima), absmax_codes; then what `dequantize_4bit` makes of them.

The processor backend deviates from the CUDA kernels, which define the format:
- Its 8-bit codes of the absolute maxima come from a coarse lookup, and some are not the nearest of
  the map (1 of the 128 of "zeros"; 5 of 550 of another matrix). `absmax_codes_cpu` keeps them;
  `absmax_codes` are the nearest, as the CUDA kernel's binary search finds them.
- Its `dequantize_4bit` takes the wrong blocks in rows that begin within one (here "plain" and
  "outlier"). It is given the matrix as one row.
- A block of zeros has the code of zero (7). The CUDA kernel divides by zero there, and NaN gets the
  code of -1, so that such a block becomes minus what 8 bits leave of its absolute maximum, zero.
  This is the one place where we follow the processor.

A value halfway between two levels has the lower code in both backends (`x > middle`).
"""

from pathlib import Path

import bitsandbytes as bnb
import bitsandbytes.functional as F
import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).parent.parent / "fixtures" / "nf4"


def matrices() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.02

    plain = normal(96, 176)  # 264 blocks, which straddle rows: 256 and 8
    outlier = normal(33, 72)  # 37 blocks and an eighth of one
    outlier[5, 7] = 3.0
    zeros = normal(16, 512)
    zeros[3] = 0.0  # eight blocks
    zeros[9, 64:128] = 0.0
    one = normal(1, 8)  # a block of eight, whose absolute maximum is the mean of them all
    return {"plain": plain, "outlier": outlier, "zeros": zeros, "one": one}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    dynamic = F.create_dynamic_map()
    for name, source in matrices().items():
        packed, state = F.quantize_4bit(
            source, blocksize=64, compress_statistics=True, quant_type="nf4"
        )
        packed = packed.view(-1)
        codes = torch.stack([packed >> 4, packed & 15], dim=-1).view(source.shape)
        _, single = F.quantize_4bit(source, blocksize=64, quant_type="nf4")
        assert state.state2.blocksize == 256
        cpu = state.absmax.view(-1).clone()
        scales = state.state2.absmax
        inverse = (1.0 / scales.clamp(min=1e-38)).repeat_interleave(256)[: cpu.numel()]
        centred = (single.absmax - state.offset) * inverse
        nearest = (centred[:, None] - dynamic).abs().argmin(dim=-1).to(torch.uint8)
        changed = nearest != cpu
        print(f"{name}: {int(changed.sum())} of {cpu.numel()} codes of absolute maxima differ")
        state.absmax = nearest
        state.shape = torch.Size([1, source.numel()])
        dequantised = F.dequantize_4bit(packed.view(-1, 1), state).view(source.shape)
        if name == "zeros":
            assert (codes[3] == 7).all() and (codes[9, 64:128] == 7).all()
        save_file(
            {
                "source": source,
                "codes": codes.contiguous(),
                "offset": state.offset.view(1),
                "scales": scales,
                "absmax_codes": nearest,
                "absmax_codes_cpu": cpu,
                "dequantised": dequantised.contiguous(),
            },
            FOLDER / f"{name}.safetensors",
            {"bitsandbytes": bnb.__version__, "torch": torch.__version__},
        )


if __name__ == "__main__":
    main()
