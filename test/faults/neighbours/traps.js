// V8: WebAssembly bounds checks by SIGSEGV, stack limits, the JIT, workers.
const { Worker } = require('worker_threads');

// (module (memory 1) (func (export "at") (param i32) (result i32) (i32.load (local.get 0)))
//         (func (export "down") (param i32) (result i32) (call 1 (local.get 0)))
//         (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0))))
const code = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f,
  3, 4, 3, 0, 0, 0,
  5, 3, 1, 0, 1,
  7, 19, 3, 2, 0x61, 0x74, 0, 0, 4, 0x64, 0x6f, 0x77, 0x6e, 0, 1, 3, 0x64, 0x69, 0x76, 0, 2,
  10, 24, 3, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b, 6, 0, 0x20, 0, 0x10, 1, 0x0b, 7, 0, 0x41, 1, 0x20, 0, 0x6d, 0x0b]);
const wasm = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;

let traps = 0;
for (let i = 0; i < 20000; ++i) {
  try { wasm.at(65536 + i); } catch (e) { if (e instanceof WebAssembly.RuntimeError) { ++traps; } }
}
console.log('traps', traps, wasm.at(0));
try { wasm.div(0); } catch (e) { console.log(e.message); }
try { wasm.down(1); } catch (e) { console.log(e instanceof RangeError); }
function recurse(n) { return 1 + recurse(n + 1); }
try { recurse(0); } catch (e) { console.log(e instanceof RangeError); }
try { null.f; } catch (e) { console.log(e instanceof TypeError); }
let h = 7;
for (let i = 0; i < 2e7; ++i) { h = (h * 31 + (i ^ (h >>> 7))) | 0; }
console.log('work', h);
let left = 4;
for (let i = 0; i < 4; ++i) {
  const worker = new Worker(`
    const { parentPort } = require('worker_threads');
    function f(n) { return 1 + f(n + 1); }
    let caught = 0;
    for (let i = 0; i < 3; ++i) { try { f(0); } catch (e) { ++caught; } }
    parentPort.postMessage(caught);`, { eval: true });
  worker.on('message', (m) => { if (m !== 3) { throw new Error('worker'); } });
  worker.on('exit', () => { if (--left === 0) { console.log('workers'); process.exitCode = 9; } });
}
