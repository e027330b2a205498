/** rowsum(dout · out) of each query and head, which all gradients of attention need. */
import code from "../../../shaders/attention/attention_delta.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange } from "../../gpu/tensor.ts";
import { rowsOf } from "../../numbers/layout.ts";
import type { AttentionBackward } from "./attention_operands.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges, ROW_WORKGROUP_SIZE, rowsPerDispatch } from "../ranges.ts";

const kernels = kernelByFormat("attention_delta", code, {
  constants: { WORKGROUP_SIZE: ROW_WORKGROUP_SIZE },
});

/** Overwrites `delta` with pairs of rowsum(dout · out) and the logsumexp; shapes are checked. */
export function attentionDelta(
  pass: KernelPass,
  { out, dout, logsumexp, delta, heads, headSize }: AttentionBackward,
): void {
  const kernel = forFormat(kernels, "attentionBackward", out, dout);
  const rows = rowsOf(out.shape);
  for (const { start, end } of ranges(rows, rowsPerDispatch(pass, heads, out, delta))) {
    const count = (end - start) * heads;
    pass.dispatch({
      kernel,
      operands: {
        out: rowRange(out, start, end),
        dout: rowRange(dout, start, end),
        logsumexp: rowRange(logsumexp, start, end),
        delta: rowRange(delta, start, end),
      },
      params: {
        count,
        heads,
        head_quads: headSize / 4,
        quads: out.stride / 4,
        lse_stride: logsumexp.stride,
        pair_stride: delta.stride / 2,
      },
      workgroups: [Math.ceil(count / ROW_WORKGROUP_SIZE)],
    });
  }
}
