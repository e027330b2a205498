export { groupDequantize } from "./group_quantize.ts";
