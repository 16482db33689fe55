// Interpreted, then compiled while it runs.
const fs = require('fs'), crypto = require('crypto'), zlib = require('zlib');
const text = fs.readFileSync('text', 'utf8');
const count = new Map();
for (const w of text.split(/\s+/)) count.set(w, (count.get(w) || 0) + 1);
console.log([...count].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5));
let x = 1; for (let i = 0; i < 200000; ++i) x = (x * 1103515245 + 12345) & 0x7fffffff; console.log(x);
console.log(crypto.createHash('sha256').update(text).digest('hex'), zlib.gzipSync(text).length);
try { null.f } catch (e) { console.log(e instanceof TypeError) }
console.log(2n ** 200n, JSON.stringify({a: [1, 2.5, null]}), 'ß'.toUpperCase());
