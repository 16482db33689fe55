#include "lib/recover/diagnose.h"

#include <Zydis/Zydis.h>
#include <algorithm>
#include <cstring>

#include "lib/recover/abort_story.h"
#include "lib/recover/never_returns.h"

namespace selfheal::recover {
namespace {

constexpr u8 max_instruction = 15;

u8 instruction_length(std::span<const u8> bytes, ZydisMnemonic* mnemonic = nullptr) {
  ZydisDecoder decoder;
  ZydisDecodedInstruction instruction;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, nullptr, bytes.data(), bytes.size(),
                                                  &instruction))) {
    return 0;
  }
  if (mnemonic != nullptr) {
    *mnemonic = instruction.mnemonic;
  }
  return instruction.length;
}

void copy_name(char (&to)[40], const char* from) {
  unsigned i = 0;
  for (; i + 1 < sizeof to && from[i] != '\0'; ++i) {
    to[i] = from[i];
  }
}

class Diagnosis {
 public:
  Diagnosis(std::span<const Frame> frames, const ImageView& image, FaultRecord& record)
      : frames_(frames.first(frames.size() < max_frames ? frames.size() : max_frames)),
        image_(image),
        record_(record) {}

  void run(const Fault& fault, const RecursionFrames* recursion, unsigned from) {
    std::memset(&record_, 0, sizeof record_);
    record_.region.entry.module = no_module;
    for (CodeRef* unknown :
         {&record_.detail.allocated_at, &record_.detail.freed_at, &record_.detail.outermost_call}) {
      unknown->module = no_module;
    }
    const u64 site = from < frames_.size() ? instruction_of(frames_[from]) : fault.registers.rip;
    read_instruction(site);
    record_.fault = refine(fault, {record_.instruction, record_.instruction_size});
    for (const Frame& frame : frames_) {
      add_frame(frame);
    }
    record_.site = record_.frame_count != 0 ? record_.frames[0] : at_no_module(fault.registers.rip);
    if (recursion != nullptr && recursion->blamed < frames_.size()) {
      blame_recursion(*recursion);
    } else if (from < frames_.size()) {
      refer_to_site(site);
      blame(from);
    } else if (jumped_away()) {
      blame_the_caller_of_nowhere();
    } else if (is_abort(record_.fault.kind)) {
      blame_who_aborted();
    } else {
      blame(0);
    }
    if (record_.region.size != 0) {
      find_levels();
    }
  }

 private:
  bool in_application(unsigned i) const {
    image::Module module;
    return image_.find_module(image_.context, frames_[i].lookup_address(), module) &&
           !image_.is_system(image_.context, module);
  }

  // Code of a module that can be blamed. One without an identity could never be recognised again,
  // so it is passed over like the system's.
  bool find_application(u64 address, image::Module& module) const {
    return image_.find_module(image_.context, address, module) && module.executable(address) &&
           module.id.kind != ModuleIdKind::none && !image_.is_system(image_.context, module);
  }

  // The functions around the blamed one that could be rolled back in its place (store/levels.h):
  // each once, and not the outermost, which has nobody to return an error to. That is main: _start,
  // which libc was called by, is nobody.
  void find_levels() {
    u64 entries[max_frames];
    unsigned known = 0;
    entries[known++] = record_.region.entry.offset ^ u64 { record_.region.entry.module } << 48;
    u32 newest = 0;
    for (unsigned i = record_.blamed_frame + 1U; i < frames_.size(); ++i) {
      const u64 address = frames_[i].lookup_address();
      image::Module module;
      image::Function function;
      bool in_cold_part = false;
      if (record_.frames[i].module == no_module || frames_[i].exact ||
          !find_application(address, module) ||
          (i + 1 == frames_.size() && !in_application(i - 1))) {
        continue;
      }
      record_.level_frames |= newest;
      newest = 0;
      if (!image_.find_owner(image_.context, module, address, function, in_cold_part) ||
          function.signal_frame) {
        continue;
      }
      const u64 entry = module.offset_of(function.start) ^ u64 { record_.frames[i].module } << 48;
      if (std::find(entries, entries + known, entry) == entries + known) {
        entries[known++] = entry;
        newest = u32{1} << i;
      }
    }
  }

  // Where a frame's function is: at the call that has not returned yet.
  u64 instruction_of(const Frame& frame) const {
    const u64 rip = frame.registers.rip;
    return frame.exact ? rip : rip - call_length(rip);
  }

  void refer_to_site(u64 address) {
    image::Module module;
    record_.site = image_.find_module(image_.context, address, module) ? reference(module, address)
                                                                       : at_no_module(address);
  }

  void read_instruction(u64 rip) {
    const u64 size =
        image_.read_code(image_.context, rip, record_.instruction, sizeof record_.instruction);
    record_.instruction_size = instruction_length({record_.instruction, size});
    // Bytes that decode to nothing are shown all the same: they are what the processor refused.
    if (record_.instruction_size == 0) {
      record_.instruction_size = static_cast<u8>(size);
    }
    std::memset(record_.instruction + record_.instruction_size, 0,
                sizeof record_.instruction - record_.instruction_size);
  }

  static CodeRef at_no_module(u64 address) {
    CodeRef ref{};
    ref.offset = address;
    ref.module = no_module;
    return ref;
  }

  // The module's index in the record, entering it when there is room.
  u8 index_of(const image::Module& module) {
    for (u8 i = 0; i < record_.module_count; ++i) {
      if (starts_[i] == module.start) {
        return i;
      }
    }
    if (record_.module_count == max_record_modules) {
      return no_module;
    }
    const u8 index = record_.module_count++;
    starts_[index] = module.start;
    record_.modules[index].id = module.id;
    copy_name(record_.modules[index].name, image::base_name(module));
    return index;
  }

  CodeRef reference(const image::Module& module, u64 address) {
    const u8 index = index_of(module);
    if (index == no_module) {
      return at_no_module(address);
    }
    CodeRef ref{};
    ref.offset = module.offset_of(address);
    ref.module = index;
    return ref;
  }

  void add_frame(const Frame& frame) {
    image::Module module;
    const u64 rip = frame.registers.rip;
    record_.frames[record_.frame_count++] =
        image_.find_module(image_.context, frame.lookup_address(), module) ? reference(module, rip)
                                                                           : at_no_module(rip);
  }

  // rip itself is the bad address: nothing there is a function to blame.
  bool jumped_away() const {
    image::Module module;
    return record_.fault.kind == FaultKind::exec_violation && !frames_.empty() &&
           !(image_.find_module(image_.context, frames_[0].registers.rip, module) &&
             module.executable(frames_[0].registers.rip));
  }

  void blame_the_caller_of_nowhere() {
    if (frames_.size() < 2) {
      return;
    }
    image::Module module;
    if (frames_[1].exact) {  // it was no call, but the return of this frame: see lost_return.h
      record_.fault.kind = FaultKind::return_mismatch;
      record_.site = record_.frames[1];
      read_instruction(frames_[1].registers.rip);
      return blame(1);
    }
    if (image_.find_module(image_.context, frames_[1].lookup_address(), module)) {
      refer_to_site(instruction_of(frames_[1]));
    }
    blame(1);
  }

  // The signal came out of libc, at the end of a chain of calls: what matters is the first of them.
  void blame_who_aborted() {
    for (unsigned i = 0; i < frames_.size(); ++i) {
      if (!leads_to_abort(image_, frames_[i].lookup_address()) && blame_frame(i)) {
        move_site(frames_[i], abort_site(i));
        return;
      }
    }
  }

  // The call that led to the abort; or the system call itself, which the signal came right after.
  u64 abort_site(unsigned i) const {
    const u64 rip = frames_[i].registers.rip;
    if (!frames_[i].exact) {
      return rip - call_length(rip);
    }
    u8 before[2];
    const bool made_it = image_.read_code(image_.context, rip - 2, before, 2) == 2 &&
                         before[0] == 0x0f && before[1] == 0x05;
    return made_it ? rip - 2 : rip;
  }

  void move_site(const Frame& frame, u64 address) {
    image::Module module;
    if (image_.find_module(image_.context, address, module)) {
      record_.site = reference(module, address);
    }
    record_.fault.registers = frame.registers;
    record_.fault.registers.rip = address;
    read_instruction(address);
  }

  // Length of the call that ends at the return address: call [rip+x] and call rel32 first, the
  // other indirect forms after. 1 (so that the address still lies inside it) when none decodes.
  u64 call_length(u64 return_address) const {
    for (const u8 length : {6, 5, 2, 3, 4, 7}) {
      u8 bytes[max_instruction];
      ZydisMnemonic mnemonic = ZYDIS_MNEMONIC_INVALID;
      if (image_.read_code(image_.context, return_address - length, bytes, length) == length &&
          instruction_length({bytes, length}, &mnemonic) == length &&
          mnemonic == ZYDIS_MNEMONIC_CALL) {
        return length;
      }
    }
    return 1;
  }

  void blame_recursion(const RecursionFrames& found) {
    FaultDetail& detail = record_.detail;
    detail.used = found.used;
    detail.cycle = found.recursion.functions;
    detail.left_out = found.left_out;
    detail.left_out_at = found.left_out != 0 ? found.blamed : 0;
    const u64 call = found.recursion.outermost_call;
    image::Module module;
    if (call != 0 && image_.find_module(image_.context, call - 1, module)) {
      detail.outermost_call = reference(module, call);
    }
    if (blame_frame(found.blamed)) {
      detail.stride = found.recursion.stride;
    } else {
      blame(0);
    }
  }

  // Who never returns cannot return an error. Where nobody can (in a main that ends by exit) it is
  // the innermost all the same.
  void blame(unsigned first) {
    for (const bool anybody : {false, true}) {
      for (unsigned i = first; i < frames_.size(); ++i) {
        if (blame_frame(i, anybody)) {
          return;
        }
      }
    }
  }

  bool blame_frame(unsigned i, bool anybody = true) {
    const u64 address = frames_[i].lookup_address();
    image::Module module;
    image::Function function;
    bool in_cold_part = false;
    if (!find_application(address, module) ||
        !image_.find_owner(image_.context, module, address, function, in_cold_part) ||
        function.signal_frame || (!anybody && never_returns(image_, function))) {
      return false;
    }
    const CodeRef entry = reference(module, function.start);
    const u64 hash = image_.code_hash(image_.context, module, function);
    if (entry.module == no_module || hash == 0) {
      return false;
    }
    record_.region.entry = entry;
    record_.region.code_hash = hash;
    record_.region.size = static_cast<u32>(function.size);
    record_.blamed_frame = static_cast<u8>(i);
    record_.in_cold_part = in_cold_part;
    return true;
  }

  std::span<const Frame> frames_;
  const ImageView& image_;
  FaultRecord& record_;
  u64 starts_[max_record_modules] = {};
};

}  // namespace

unsigned keep_both_ends(const StackBounds& bounds, std::span<Frame> frames, unsigned count,
                        RecursionFrames& recursion) {
  const u64 at = recursion.recursion.blamed_at;
  const unsigned inner = static_cast<unsigned>(frames.size()) / 2;
  if (at < count && at <= inner) {
    recursion.blamed = static_cast<unsigned>(at);
    recursion.left_out = 0;
    return count;
  }
  recursion.blamed = inner;
  recursion.left_out = static_cast<u32>(at - inner);
  frames[inner] = recursion.recursion.blamed;
  count = inner + 1;
  while (count < frames.size() && step(frames[count - 1], bounds, frames[count])) {
    ++count;
  }
  return count;
}

void diagnose(const Fault& fault, std::span<const Frame> frames, const ImageView& image,
              FaultRecord& record, const RecursionFrames* recursion, unsigned from) {
  Diagnosis(frames, image, record).run(fault, recursion, from);
}

}  // namespace selfheal::recover
