// Runs what `kernels-test export` wrote on Dawn, so that Tint compiles every shader and a second WebGPU runs it.
//
//   node run.mjs MODULE describe        the adapter as JSON: name, f16, sizes of subgroups
//   node run.mjs MODULE compile FOLDER  compiles every shader by Tint alone, without a driver; the folder has no jobs
//   node run.mjs MODULE run FOLDER      runs every job, compiles every shader
//
// The last two leave out what FOLDER/skip.json knows already, and print a line for whatever begins and for whatever has
// ended: {"begin":{"job":3}}, {"end":[{"job":3},null]}, the same for shaders; in place of null why it failed.
//
// MODULE is the folder of the npm package `webgpu`. What lives here: compiling, running, canaries. What does not:
// comparing with the bounds of the oracles, and limits of time, which `kernels-test drive` has.

import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const GUARD = 256; // bytes before and after an operand: the largest alignment that adapters ask for
const CANARY = 0xc0decafe;
const FEATURES = ['shader-f16', 'subgroups'];

async function open(module, backend) {
  const { create, globals } = await import(pathToFileURL(join(resolve(module), 'index.js')).href);
  Object.assign(globalThis, globals);
  const gpu = create([`backend=${backend}`]);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error(`Dawn accepts no adapter of the backend ${backend} here`);
  return { gpu, adapter };
}

function describe({ adapter }) {
  const { info, features } = adapter;
  const subgroup = features.has('subgroups') ? [info.subgroupMinSize, info.subgroupMaxSize] : null;
  return { name: info.description || info.device, f16: features.has('shader-f16'), subgroup };
}

/** Runs `body` and returns its value; an error that WebGPU reports is thrown. */
async function scoped(device, body) {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  device.pushErrorScope('internal');
  let value;
  let thrown;
  try {
    value = await body();
  } catch (error) {
    thrown = error;
  }
  const errors = [await device.popErrorScope(), await device.popErrorScope(), await device.popErrorScope()];
  // What a scope has comes first: a thrown error may only be that something else is invalid.
  const first = errors.find(Boolean) ?? thrown;
  if (first) throw new Error(String(first.message).split('\n').slice(0, 4).join(' / '));
  return value;
}

async function pipeline(device, folder, shader) {
  const code = readFileSync(join(folder, shader.file), 'utf8');
  return scoped(device, () => {
    const module = device.createShaderModule({ code });
    const compute = { module, entryPoint: 'main', constants: shader.overrides };
    return device.createComputePipelineAsync({ layout: 'auto', compute });
  });
}

/** A buffer with these bytes between canaries. */
function guarded(device, bytes) {
  const size = 2 * GUARD + bytes.byteLength;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size, usage, mappedAtCreation: true });
  const range = buffer.getMappedRange();
  new Uint32Array(range).fill(CANARY);
  new Uint8Array(range).set(bytes, GUARD);
  buffer.unmap();
  return { buffer, bytes: bytes.byteLength };
}

function uniform(device, words) {
  const size = Math.max(16, Math.ceil(words.length / 4) * 16);
  const buffer = device.createBuffer({ size, usage: GPUBufferUsage.UNIFORM, mappedAtCreation: true });
  new Uint32Array(buffer.getMappedRange()).set(words);
  buffer.unmap();
  return buffer;
}

async function read(device, guardedBuffers) {
  const copies = guardedBuffers.map(({ buffer }) =>
    device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }));
  const encoder = device.createCommandEncoder();
  copies.forEach((copy, i) => encoder.copyBufferToBuffer(guardedBuffers[i].buffer, 0, copy, 0, copy.size));
  device.queue.submit([encoder.finish()]);
  const contents = [];
  for (const copy of copies) {
    await copy.mapAsync(GPUMapMode.READ);
    contents.push(new Uint8Array(copy.getMappedRange().slice(0)));
    copy.unmap();
    copy.destroy();
  }
  return contents;
}

function checkCanaries(operand, contents) {
  const words = new Uint32Array(contents.buffer);
  const [first, end] = [GUARD / 4, (contents.byteLength - GUARD) / 4];
  const dead = words.findIndex((word, i) => (i < first || i >= end) && word !== CANARY);
  if (dead >= 0) throw new Error(`word ${dead - end} after the end of ${operand.name} was overwritten`);
}

function record(device, pass, dispatch, pipeline, operands) {
  const groups = new Map();
  for (const { group, binding, operand } of dispatch.bindings) {
    const resource = operand === null
      ? { buffer: uniform(device, dispatch.params) }
      : { buffer: operands[operand].buffer, offset: GUARD, size: operands[operand].bytes };
    groups.set(group, [...(groups.get(group) ?? []), { binding, resource }]);
  }
  pass.setPipeline(pipeline);
  for (const [group, entries] of groups) {
    pass.setBindGroup(group, device.createBindGroup({ layout: pipeline.getBindGroupLayout(group), entries }));
  }
  pass.dispatchWorkgroups(...dispatch.grid);
}

async function runJob(device, folder, job, pipelines) {
  const blob = readFileSync(join(folder, job.blob));
  const operands = job.operands.map((o) => guarded(device, blob.subarray(o.offset, o.offset + o.bytes)));
  await scoped(device, () => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const dispatch of job.dispatches) record(device, pass, dispatch, pipelines.get(dispatch.shader), operands);
    pass.end();
    device.queue.submit([encoder.finish()]);
  });
  const contents = await read(device, operands);
  job.operands.forEach((operand, i) => checkCanaries(operand, contents[i]));
  const outputs = contents.filter((_, i) => job.operands[i].output);
  const bare = outputs.map((c) => c.subarray(GUARD, c.byteLength - GUARD));
  writeFileSync(join(folder, job.blob.replace(/bin$/, 'out')), Buffer.concat(bare));
  operands.forEach(({ buffer }) => buffer.destroy());
}

/** A line for who started us: what begins, or what ended and why it could not be compiled or run, if it could not. */
function say(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

async function told(place, body) {
  say({ begin: place });
  const reason = await body().then((reason) => reason ?? null, (error) => error.message);
  say({ end: [place, reason] });
  return reason;
}

/** Compiles shaders on demand. Those of which something is known already are compiled again where a job needs them. */
class Pipelines {
  constructor(device, features, folder, shaders, known) {
    Object.assign(this, { device, features, folder, shaders, known, ready: new Map() });
  }
  /** Why there is no pipeline of a shader, if there is none. */
  async reason(index) {
    if (this.ready.has(index)) return null;
    if (this.known[index]) return this.known[index];
    this.known[index] = await told({ shader: index }, async () => {
      const missing = this.shaders[index].features.filter((f) => !this.features.includes(f));
      if (missing.length) return `unsupported: the adapter has no ${missing.join(', ')}`;
      this.ready.set(index, await pipeline(this.device, this.folder, this.shaders[index]));
    });
    return this.known[index];
  }
  get(index) {
    return this.ready.get(index);
  }
}

async function work({ adapter }, folder) {
  const load = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const [{ shaders, jobs }, skip] = [load('manifest.json'), load('skip.json')];
  const features = FEATURES.filter((f) => adapter.features.has(f));
  const device = await adapter.requestDevice({ requiredFeatures: features });
  let lost = false;
  device.lost.then(() => { lost = true; });
  const pipelines = new Pipelines(device, features, folder, shaders, { ...skip.shaders });
  const skipped = new Set(skip.jobs);
  for (const [index, job] of jobs.entries()) {
    if (skipped.has(index)) continue;
    const reasons = [];
    for (const { shader } of job.dispatches) reasons.push(await pipelines.reason(shader));
    const refused = reasons.find(Boolean);
    await told({ job: index }, async () => refused ?? runJob(device, folder, job, pipelines));
    // On a lost device nothing runs any more; who started us starts another.
    if (lost) process.exit(1);
  }
  for (const index of shaders.keys()) if (!(index in skip.shaders)) await pipelines.reason(index);
}

const [module, mode, folder] = process.argv.slice(2);
if (!module || !(mode === 'describe' || (['compile', 'run'].includes(mode) && folder))) {
  console.error('usage: node run.mjs MODULE describe | node run.mjs MODULE compile|run FOLDER');
  process.exit(2);
}
const opened = await open(module, mode === 'compile' ? 'null' : 'vulkan');
if (mode === 'describe') console.log(JSON.stringify(describe(opened)));
else await work(opened, folder);
process.exit(0);
