// The forward pass of one picture, solobox against onnxruntime-node on the ONNX file that solobox exported of the same
// model: does it compute the same, and who is faster here.
//
//     node onnx.mjs SOLOBOX DIR [--rounds N] [--steps K] [--threads T] [WORKLOAD ...]
//
// DIR is for the exported files and has onnxruntime-node in its node_modules. Rounds interleave the two; prints medians.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const words = process.argv.slice(2);
const option = (name, otherwise) => {
  const at = words.indexOf(name);
  return at < 0 ? otherwise : Number(words.splice(at, 2)[1]);
};
const rounds = option("--rounds", 5), steps = option("--steps", 40), threads = option("--threads", 2);
const [solobox, dir, ...asked] = words;
const workloads = asked.length ? asked : ["tiny-gn", "tiny-bn", "toy-quarter", "resnet18", "resnet50"];
const ort = createRequire(`${dir}/`)("onnxruntime-node");

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

function tensors(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length));
  const read = ({ shape, data_offsets: [begin, end] }) => {
    const copy = new Uint8Array(bytes.subarray(8 + length + begin, 8 + length + end));
    return { shape, data: new Float32Array(copy.buffer) };
  };
  return { input: read(header.input), output: read(header.output) };
}

console.log("workload      solobox ms  onnxruntime ms  ratio  largest difference");
for (const workload of workloads) {
  const run = (save) =>
    1e3 * JSON.parse(execFileSync(solobox, ["bench", workload, "--predict", "--json", "--steps", String(steps),
      "--threads", String(threads), ...(save ? ["--save", save] : [])], { encoding: "utf8" })).predict_s;
  const folder = `${dir}/${workload}`;
  run(folder);
  const { input, output } = tensors(`${folder}/case.safetensors`);
  const session = await ort.InferenceSession.create(`${folder}/model.onnx`,
    { intraOpNumThreads: threads, interOpNumThreads: 1, graphOptimizationLevel: "all" });
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", input.data, input.shape) };
  const own = [], theirs = [];
  let off = 0;
  for (let round = 0; round < rounds; ++round) {
    own.push(run());
    const times = [];
    for (let i = 0; i < steps + 2; ++i) {
      const start = process.hrtime.bigint();
      const result = (await session.run(feeds))[session.outputNames[0]];
      if (i >= 2) times.push(Number(process.hrtime.bigint() - start) / 1e6);
      result.data.forEach((v, k) => (off = Math.max(off, Math.abs(v - output.data[k]))));
    }
    theirs.push(median(times));
  }
  console.log(`${workload.padEnd(12)}  ${median(own).toFixed(2).padStart(10)}  ${median(theirs).toFixed(2).padStart(14)}` +
    `  ${(median(own) / median(theirs)).toFixed(2).padStart(5)}  ${off.toExponential(1)}`);
  if (!(off <= 1e-4)) process.exitCode = 1;
}
