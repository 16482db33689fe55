-- LuaJIT: traces compiled while running, a recursion that ends as an error, the FFI's own calls.
local ffi = require('ffi')
ffi.cdef 'int abs(int); size_t strlen(const char*);'
local h = 7
for i = 1, 2e7 do h = bit.bxor(h * 31 % 1000003, i % 128) end
local function down(n) return 1 + down(n + 1) end
local ok, message = pcall(down, 0)
local caught = 0
for _ = 1, 20000 do
  if not pcall(function() local nothing; return nothing.field end) then caught = caught + 1 end
end
local sum = 0
for i = 1, 1e5 do sum = sum + ffi.C.abs(-i) end
print(h, ok, message:match('stack overflow'), caught, sum, tonumber(ffi.C.strlen('four')), jit.status())
os.exit(8)
