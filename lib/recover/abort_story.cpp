#include "lib/recover/abort_story.h"

#include <string_view>

#include "lib/base/text.h"
#include "lib/recover/never_returns.h"
#include "lib/recover/type_name.h"

namespace selfheal::recover {
namespace {

struct Known {
  std::string_view text;
  FaultKind kind;
};

// Functions of libc and the C++ runtime that only those call who are about to abort.
constexpr Known functions[] = {
    {"__assert_fail", FaultKind::assertion},
    {"__assert_perror_fail", FaultKind::assertion},
    {"__assert", FaultKind::assertion},
    {"__stack_chk_fail", FaultKind::smashed_stack},
    {"__chk_fail", FaultKind::fortify},
    {"_ZSt9terminatev", FaultKind::terminate},
    {"_ZN9__gnu_cxx27__verbose_terminate_handlerEv", FaultKind::terminate},
    {"__gxx_personality_v0", FaultKind::terminate},  // noexcept broken
    {"__cxa_pure_virtual", FaultKind::terminate},
    {"__cxa_deleted_virtual", FaultKind::terminate},
};

// libc's last words (malloc/malloc.c, debug/fortify_fail.c, stdio-common/vfprintf-internal.c in
// glibc 2.36), the first that is contained. What is damaged beyond the chunk to be freed is a
// damaged heap; a chunk that is none, or was freed before, is a bad free.
constexpr Known messages[] = {
    {"stack smashing detected", FaultKind::smashed_stack},
    {"buffer overflow detected", FaultKind::fortify},
    {"longjmp causes uninitialized stack frame", FaultKind::fortify},
    {"%n in writable segment", FaultKind::fortify},
    {"*** invalid %N$ use detected ***", FaultKind::fortify},
    {"double free or corruption (out)", FaultKind::heap_corruption},
    {"double free", FaultKind::bad_free},
    {"free(): invalid pointer", FaultKind::bad_free},
    {"munmap_chunk(): invalid pointer", FaultKind::bad_free},
    {"realloc(): invalid pointer", FaultKind::bad_free},
    {"malloc assertion failure", FaultKind::heap_corruption},
    {"ssertion", FaultKind::assertion},
    {"alloc", FaultKind::heap_corruption},  // malloc(): …, realloc(): …, malloc_consolidate(): …
    {"free()", FaultKind::heap_corruption},
    {"corrupted", FaultKind::heap_corruption},  // corrupted size vs. prev_size, … linked list
    {"chunk", FaultKind::heap_corruption},
    {"invalid fastbin entry", FaultKind::heap_corruption},
};

FaultKind kind_of_message(std::string_view text) {
  for (const Known& known : messages) {
    if (text.find(known.text) != text.npos) {
      return known.kind;
    }
  }
  return FaultKind::abort;
}

class Telling {
 public:
  Telling(const ImageView& image, const AbortClues& clues) : image_(image), clues_(clues) {}

  void look_at(const Frame& frame) {
    const u64 address = frame.lookup_address();
    const char* const name = clues_.function_name(address);
    const bool after_abort = story_.certain && !caller_seen_;
    caller_seen_ = story_.certain;
    if (after_abort && clues_.libc_message != nullptr && same_module(address, abort_at_)) {
      story_.kind = kind_of_message(clues_.libc_message);
      from_libc_ = true;
    } else if (after_abort && clues_.in_allocator != nullptr && clues_.in_allocator(address)) {
      story_.kind = FaultKind::heap_corruption;  // it says what it found in words of its own
    }
    if (name == nullptr) {
      return;
    }
    const std::string_view called = name;
    if (called == "abort") {
      story_.certain = true;
      abort_at_ = address;
    } else if (story_.kind == FaultKind::abort) {
      look_at_function(called, address);
    }
  }

  const AbortStory& finish() {
    Text text(story_.message, sizeof story_.message);
    if (story_.kind == FaultKind::terminate) {
      say_exception(text);
    } else if (from_libc_) {
      say_message(clues_.libc_message, text);
    } else if (story_.kind == FaultKind::assertion && clues_.assertion != nullptr) {
      text << "Assertion `" << clues_.assertion << "' failed.";
    } else if (!story_.certain) {
      text << "it sent itself the signal";
    }
    return story_;
  }

 private:
  void look_at_function(std::string_view called, u64 address) {
    for (const Known& known : functions) {
      if (called == known.text) {
        story_.kind = known.kind;
        runtime_ = address;
      }
    }
  }

  bool same_module(u64 a, u64 b) const {
    image::Module module;
    return image_.find_module(image_.context, a, module) &&
           b - module.start < module.end - module.start;
  }

  void say_exception(Text& text) {
    const char* const type =
        clues_.exception_type != nullptr ? clues_.exception_type(runtime_) : nullptr;
    if (type != nullptr) {
      text << "uncaught exception of type ";
      say_type(type, text);
    } else {
      text << "std::terminate, and no exception in flight";
    }
  }

  // "program: file.c:12: function: Assertion `x' failed.\n": the record knows the program.
  void say_message(const char* message, Text& text) {
    std::string_view words = message;
    const u64 colon = words.find(": ");
    if (story_.kind == FaultKind::assertion && colon != words.npos) {
      words.remove_prefix(colon + 2);
    }
    for (const char c : words) {
      if (c != '\n') {
        text << c;
      }
    }
  }

  const ImageView& image_;
  const AbortClues& clues_;
  AbortStory story_{FaultKind::abort, false, {}};
  u64 abort_at_ = 0;
  u64 runtime_ = 0;  // of the C++ runtime, an address
  bool caller_seen_ = false;
  bool from_libc_ = false;
};

}  // namespace

bool leads_to_abort(const ImageView& image, u64 address) {
  image::Module module;
  image::Function function;
  bool in_cold_part = false;
  return image.find_module(image.context, address, module) &&
         (image.is_system(image.context, module) ||
          (image.find_owner(image.context, module, address, function, in_cold_part) &&
           never_returns(image, function)));
}

void spare_main(FaultRecord& record, std::span<const Frame> frames, const ImageView& image) {
  const u64 caller = record.blamed_frame + u64{1};
  image::Module module;
  if (record.region.size != 0 && caller < frames.size() &&
      image.find_module(image.context, frames[caller].lookup_address(), module) &&
      image.is_system(image.context, module)) {
    record.region = {};
    record.region.entry.module = no_module;
    record.blamed_frame = 0;
  }
}

AbortStory tell_abort(std::span<const Frame> frames, const ImageView& image,
                      const AbortClues& clues) {
  Telling telling(image, clues);
  for (const Frame& frame : frames) {
    if (!leads_to_abort(image, frame.lookup_address())) {
      break;
    }
    telling.look_at(frame);
  }
  return telling.finish();
}

}  // namespace selfheal::recover
