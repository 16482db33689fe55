// A program or library on disk, as a campaign sees it: its functions, and where in the file the
// byte at an address is.
//
// The file is laid out in memory as ld.so would, without relocating it, so that lib/image's readers
// of frame tables work on it: the same code that tells the runtime what a function is.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/elf_view.h"
#include "cli/result.h"
#include "lib/image/function.h"
#include "lib/image/module.h"

namespace selfheal::cli::campaign {

class Binary {
 public:
  // Fails when the file is no whole x86-64 ELF file with an .eh_frame_hdr table.
  static Result<std::unique_ptr<Binary>> open(const std::string& path);

  Binary(const Binary&) = delete;
  Binary& operator=(const Binary&) = delete;
  ~Binary();

  struct Part {
    u64 start;     // ELF virtual addresses
    u64 size;      //
    u64 function;  // the function's entry: another part's start for a split-off cold part
    bool cold;
  };

  const std::string& path() const { return path_; }
  std::string name() const;      // base name
  std::string build_id() const;  // hexadecimal digits
  const std::vector<Part>& parts() const { return parts_; }

  // The original bytes from `address` on; empty outside of the file's segments.
  std::span<const u8> bytes(u64 address, u64 size) const { return view_.at(address, size); }

  // Do the frame tables say the same of both instructions: where the caller's frame is, and where
  // its registers are?
  bool same_frame(u64 a, u64 b) const;

  // By the frame tables, is rsp a multiple of 16 there, as it has to be at a call (System V ABI,
  // 3.2.2)?
  bool may_call(u64 address) const;

  // Holds the address of abort() at run time; nothing: the file does not import it.
  std::optional<u64> abort_slot() const { return abort_slot_; }

  // Virtual address - offset in the file, of the code.
  u64 code_bias() const;

  // "ngx_http_handler", or "function at 0x1234" in a stripped file.
  std::string function_name(u64 entry) const;

  struct Patch {
    u64 address;
    std::vector<u8> bytes;
  };
  // A copy of the file, its mode kept, with `patches` in it.
  Outcome write_changed(const std::string& to, const std::vector<Patch>& patches) const;

 private:
  explicit Binary(const std::string& path) : path_(path), view_(path) {}
  bool lay_out();
  void find_parts();

  std::string path_;
  ElfView view_;
  image::Module module_{};
  u8* memory_ = nullptr;
  u64 size_ = 0;
  std::vector<Part> parts_;
  std::optional<u64> abort_slot_;

  struct Stretch {  // a PT_LOAD's part in the file
    u64 address;
    u64 offset;
    u64 size;
    bool code;
  };
  std::vector<Stretch> stretches_;
};

}  // namespace selfheal::cli::campaign
