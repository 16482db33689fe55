#include "lib/patch/stubs.h"

#include "lib/base/raw_syscall.h"
#include "lib/patch/emitter.h"
#include "lib/patch/plan.h"

extern "C" {
selfheal::u64 selfheal_native_paths[selfheal::patch::max_regions];
}

namespace selfheal::patch {

static_assert(native_offset + max_native_size <= refuse_offset);

namespace {

constexpr u64 enter_size = 13;
static_assert(refuse_offset + enter_size <= cell_size);

void fill(Emitter& to, u64 size) {
  while (to.size() < size) {
    to.byte(0xcc);
  }
}

// push $index; jmp *%fs:target
void enter(Emitter& to, u32 region_index, i32 target_offset) {
  to.byte(0x68);  // push imm32
  to.number(region_index, 4);
  const u8 jump_through_fs[] = {0x64, 0xff, 0x24, 0x25};  // jmp *%fs:disp32
  to.bytes(jump_through_fs, sizeof jump_through_fs);
  to.number(static_cast<u64>(static_cast<i64>(target_offset)), 4);
}

void compare_stack(Emitter& to, i32 limit_offset) {
  const u8 compare[] = {0x64, 0x48, 0x39, 0x24, 0x25};  // cmp %rsp, %fs:disp32
  to.bytes(compare, sizeof compare);
  to.number(static_cast<u64>(static_cast<i64>(limit_offset)), 4);
  to.byte(0x77);  // ja rel8
  to.byte(static_cast<u8>(refuse_offset - (to.size() + 1)));
  const u8 nop[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};  // nopl 0(%rax,%rax)
  to.bytes(nop, sizeof nop);
}

}  // namespace

u64 Stubs::allocate(u64 low, u64 high) {
  // Asked of the kernel each time: a child of a raw clone is a new owner, too.
  const u64 pid = static_cast<u64>(raw_syscall(SYS_getpid));
  const u32 count = pool_count_.load(std::memory_order_relaxed);
  for (u32 i = 0; i < count; ++i) {
    Pool& pool = pools_[i];
    const u64 end = pool.memory.base() + pool.memory.size();
    if (pool.owner != pid || !within_rel32(pool.memory.base(), high) || !within_rel32(end, low)) {
      continue;
    }
    if (const u64 cell = pool.memory.allocate(cell_size, cell_size); cell != 0) {
      return cell;
    }
  }
  if (count == max_pools || !pools_[count].memory.map(low, pool_size)) {
    return 0;
  }
  Pool& pool = pools_[count];
  if (!within_rel32(pool.memory.base(), high)) {
    pool.memory.unmap();
    return 0;
  }
  pool.owner = pid;
  pool_count_.store(count + 1, std::memory_order_release);
  return pool.memory.allocate(cell_size, cell_size);
}

Stubs::Pool* Stubs::pool_of(u64 cell) {
  for (u32 i = 0; i < pool_count_.load(std::memory_order_relaxed); ++i) {
    if (pools_[i].memory.contains(cell)) {
      return &pools_[i];
    }
  }
  return nullptr;
}

void Stubs::give_back(u64 cell) {
  Pool* pool = pool_of(cell);
  if (pool != nullptr && pool->memory.base() + pool->memory.used() == cell + cell_size) {
    pool->memory.rewind(cell - pool->memory.base());
  }
}

void Stubs::write(u64 cell, u32 region_index, const u8* native, u64 native_size,
                  i32 stack_limit_offset) {
  Pool* pool = pool_of(cell);
  if (pool == nullptr) {
    return;
  }
  Emitter to(pool->memory.writable(cell), cell_size, cell);
  if (stack_limit_offset == 0) {
    enter(to, region_index, enter_target_offset_);
  } else {
    compare_stack(to, stack_limit_offset);
  }
  fill(to, native_offset);
  to.bytes(native, static_cast<unsigned>(native_size));
  if (stack_limit_offset != 0) {
    fill(to, refuse_offset);
    enter(to, region_index, refuse_target_offset_);
  }
}

void Stubs::write_diversion(u64 cell, u64 replacement, const u8* native, u64 native_size) {
  Pool* pool = pool_of(cell);
  if (pool == nullptr) {
    return;
  }
  Emitter to(pool->memory.writable(cell), cell_size, cell);
  const u8 load_r11[] = {0x49, 0xbb};  // movabs imm64, %r11
  to.bytes(load_r11, sizeof load_r11);
  to.number(replacement, 8);
  const u8 jump_r11[] = {0x41, 0xff, 0xe3};  // jmp *%r11
  to.bytes(jump_r11, sizeof jump_r11);
  while (to.size() < native_offset) {
    to.byte(0xcc);
  }
  to.bytes(native, static_cast<unsigned>(native_size));
}

bool Stubs::contains(u64 address) const {
  for (u32 i = 0; i < pool_count_.load(std::memory_order_acquire); ++i) {
    if (pools_[i].memory.contains(address)) {
      return true;
    }
  }
  return false;
}

}  // namespace selfheal::patch
