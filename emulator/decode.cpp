#include "emulator/decode.h"

#include "emulator/block_cache.h"
#include "emulator/changing_code.h"
#include "emulator/copy_bytes.h"
#include "emulator/instruction.h"
#include "emulator/interpreter.h"
#include "emulator/models.h"
#include "emulator/nest.h"
#include "emulator/syscalls.h"

namespace selfheal::emulator {
namespace {

constexpr unsigned max_instructions = 32;
constexpr unsigned longest = ZYDIS_MAX_INSTRUCTION_LENGTH;
constexpr unsigned window_size = 256;

constinit ZydisDecoder decoder{};

// The code bytes at hand: up to the end of the page at first, and of the next page as many as one
// instruction needs, once one asks for them.
struct Window {
  u64 start;
  u64 size;
  u8 bytes[window_size + longest];
  u8 raw[changing_size + longest];  // the first of them, without our patches undone
};

// As the processor would see it: with our patches.
void fetch(Machine& m, u64 from, u8* to, u64 size) {
  m.fetching = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  copy_bytes(address_of(to), from, size);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  m.fetching = false;
}

void open(Machine& m, Window& w, u64 rip) {
  w.start = rip;
  w.size = page_down(rip) + page_size - rip;
  if (w.size > window_size) {
    w.size = window_size;
  }
  fetch(m, rip, w.bytes, w.size);
  copy_bytes(address_of(w.raw), address_of(w.bytes), sizeof w.raw);
  config().restore_originals(rip, w.bytes, w.size);
}

// False: there is no more code.
bool extend(Machine& m, Window& w) {
  const u64 end = w.start + w.size;
  if ((end & (page_size - 1)) != 0 || config().code_kind(end) == CodeKind::none) {
    return false;
  }
  fetch(m, end, w.bytes + w.size, longest);
  if (w.size < sizeof w.raw - longest) {
    copy_bytes(address_of(w.raw + w.size), address_of(w.bytes + w.size), longest);
  }
  config().restore_originals(end, w.bytes + w.size, longest);
  w.size += longest;
  return true;
}

enum class Next : u8 { ok, end_of_window, unknown };

Next decode_one(Machine& m, Window& w, Instruction& in, u64 rip, bool first) {
  for (bool extended = false;;) {
    const u64 at = rip - w.start;
    if (at >= w.size) {
      return Next::end_of_window;
    }
    const ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder, w.bytes + at, w.size - at, &in.info, in.operands);
    if (ZYAN_SUCCESS(status)) {
      in.rip = rip;
      in.bytes = w.bytes + at;
      return Next::ok;
    }
    if (status != ZYDIS_STATUS_NO_MORE_DATA || extended) {
      return Next::unknown;
    }
    // Only for a block's first instruction: others begin a block of their own when reached.
    if (!first || !extend(m, w)) {
      return first ? Next::unknown : Next::end_of_window;
    }
    extended = true;
  }
}

class Builder {
 public:
  explicit Builder(u64 rip) : rip_(rip) {}

  // Room for the longest block; what is not used is cut off at the end.
  bool start() {
    block_ = nullptr;
    ops_ = 0;
    return true;
  }
  Op& add(Handler handler, u64 rip) {
    Op& op = ops_memory_[ops_++];
    op.handler = handler;
    op.rip = rip;
    return op;
  }
  void drop_last() { --ops_; }

  Block* finish(unsigned instructions, u64 size) {
    void* memory = block_memory(sizeof(Block) + ops_ * sizeof(Op));
    if (memory == nullptr) {
      return nullptr;
    }
    auto* block = static_cast<Block*>(memory);
    block->rip = rip_;
    block->count = static_cast<u16>(instructions);
    block->size = static_cast<u16>(size);
    block->op_count = static_cast<u16>(ops_);
    block->valid.store(true, std::memory_order_relaxed);
    // Op holds an atomic, which has no copy; the memory is nobody else's yet.
    const auto* from = reinterpret_cast<const u64*>(ops_memory_);
    auto* to = reinterpret_cast<u64*>(block->ops);
    for (u64 i = 0; i < ops_ * sizeof(Op) / sizeof(u64); ++i) {
      to[i] = from[i];
    }
    return block;
  }

 private:
  u64 rip_;
  Block* block_ = nullptr;
  unsigned ops_ = 0;
  Op ops_memory_[2 * max_instructions + 4]{};
};

static_assert(sizeof(Op) % sizeof(u64) == 0);

// May more follow behind this instruction in a block of code that may change? Not behind a store,
// which may be what changes it; and thunks are not looked at any closer.
bool may_go_on(const Instruction& in, bool translated, u64 size) {
  for (unsigned i = 0; i < in.info.operand_count; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
      return false;
    }
  }
  return translated && size + longest <= changing_size;
}

}  // namespace

bool start_decoder() {
  // Without MPX, which Linux no longer enables, its instructions are hints.
  return ZYAN_SUCCESS(
             ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
         ZYAN_SUCCESS(ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE));
}

Block* decode_block(Machine& m, u64 rip, const History& history, const char*& reason) {
  constexpr const char* full = "the engine's memory is full";
  Builder b(rip);
  const Model model = find_model(rip);
  if (model == nullptr && config().native_text(rip)) {
    b.add(do_native_call, rip).immediate = rip;
    Block* block = b.finish(1, 1);
    reason = full;
    return block;
  }
  if (is_vsyscall(rip)) {
    b.add(do_vsyscall, rip);
    reason = full;
    return b.finish(1, 1);
  }
  const CodeKind kind = config().code_kind(rip);
  if (kind == CodeKind::none) {
    reason = "code outside all known modules";
    return nullptr;
  }
  ChangingCode* changing = nullptr;
  if (kind == CodeKind::may_change) {
    if (history.older != nullptr && history.older->versions == max_versions) {
      reason = "code that keeps changing";
      return nullptr;
    }
    changing = static_cast<ChangingCode*>(block_memory(sizeof(ChangingCode)));
    if (changing == nullptr) {
      reason = full;
      return nullptr;
    }
    b.add(do_verify_code, rip).immediate = address_of(changing);
  }
  const i32 region = config().region_at != nullptr ? config().region_at(rip) : -1;
  if (region >= 0) {
    b.add(do_enter_region, rip).immediate = static_cast<u64>(region);
  }
  if (model != nullptr) {
    b.add(do_model, rip).immediate = address_of_function(model);
  }
  Window w;
  open(m, w, rip);
  Instruction in;
  u64 at = rip;
  unsigned count = 0;
  bool ended = false;
  while (!ended && count < max_instructions) {
    const Next next = decode_one(m, w, in, at, count == 0);
    if (next != Next::ok) {
      if (next == Next::unknown) {
        if (changing != nullptr && count == 0) {
          // Nothing to compare: the rest may come, or become executable.
          reason = "bytes that are no known instruction";
          return nullptr;
        }
        if (changing != nullptr) {
          break;
        }
        make_unsupported(b.add(nullptr, at), "bytes that are no known instruction");
        ended = true;
      }
      break;
    }
    Op& op = b.add(nullptr, at);
    op.length = in.info.length;
    set_address(op, in);
    Translated result;
    const bool translated = translate(op, in, result);
    if (!translated && !translate_thunk(op, in)) {
      reason = full;
      return nullptr;
    }
    if (result.after != nullptr) {
      b.add(result.after, at);
    }
    at = in.next_rip();
    ++count;
    ended = result.ends_block && !result.conditional;
    if (result.conditional || (changing != nullptr && !may_go_on(in, translated, at - rip))) {
      break;
    }
  }
  if (!ended) {
    b.add(do_fall_through, at).immediate = at;
  }
  Block* block = b.finish(count, at - rip);
  if (block == nullptr) {
    reason = full;
    return nullptr;
  }
  if (changing != nullptr) {
    changing->block = block;
    changing->older = history.older;
    changing->versions = history.older != nullptr ? history.older->versions + 1 : 1;
    changing->generation.store(history.generation, std::memory_order_relaxed);
    set_bytes(*changing, w.raw, block->size);
  }
  return block;
}

}  // namespace selfheal::emulator
