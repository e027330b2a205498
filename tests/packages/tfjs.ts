// @ts-types="./tfjs.d.ts"
export * from "npm:@tensorflow/tfjs-core@^4.22.0";
import "npm:@tensorflow/tfjs-backend-webgpu@^4.22.0";
