#include "cli/program_checks.h"

#include <cstring>
#include <elf.h>
#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/launch.h"
#include "cli/terminal.h"

namespace selfheal::cli {

const char* name_of(Health health) {
  switch (health) {
    case Health::fine:
      return "ok";
    case Health::note:
      return "note";
    case Health::warning:
      return "warning";
    case Health::failure:
      return "failure";
  }
  return "unknown";
}

std::string first_failure(const Checks& checks) {
  for (const Check& check : checks) {
    if (check.health == Health::failure) {
      return check.message;
    }
  }
  return "";
}

namespace {

constexpr int deepest_script = 4;  // as the kernel (BINPRM_MAX_RECURSION)

std::string machine_name(u16 machine) {
  switch (machine) {
    case EM_386:
      return "i386";
    case EM_X86_64:
      return "x32";
    case EM_ARM:
      return "ARM";
    case EM_AARCH64:
      return "AArch64";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC 64";
    case EM_S390:
      return "s390";
    default:
      return fmt::format("machine {}", machine);
  }
}

std::string user_name(uid_t uid) {
  const passwd* entry = getpwuid(uid);
  return entry != nullptr ? entry->pw_name : std::to_string(uid);
}

// ld.so runs in secure mode (AT_SECURE, ld.so(8)) when ids change at exec, or when somebody other
// than root gets capabilities; it then preloads only set-user-ID libraries of system folders.
Check check_privileges(const std::string& path, const struct stat& status) {
  const bool changes_user = (status.st_mode & S_ISUID) != 0;
  const bool changes_group = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  const bool has_capabilities = getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
  const char* advice =
      "start it as the user it runs as, without the bit: from the service manager "
      "(User=, AmbientCapabilities=)";
  if (changes_user || changes_group) {
    const bool secure_for_us =
        (changes_user && status.st_uid != getuid()) || (changes_group && status.st_gid != getgid());
    const std::string who = changes_user ? fmt::format("setuid {}", user_name(status.st_uid))
                                         : fmt::format("setgid {}", status.st_gid);
    return {"privileges", secure_for_us ? Health::failure : Health::warning,
            fmt::format("it is {}: LD_PRELOAD is ignored for everybody else", who), advice};
  }
  if (has_capabilities) {
    return {"privileges", getuid() != 0 ? Health::failure : Health::warning,
            "it has file capabilities: LD_PRELOAD is ignored for everybody but root", advice};
  }
  return {"privileges", Health::fine, "no setuid, setgid or file capabilities", ""};
}

Check check_linkage(const image::ElfFile& file) {
  const std::string interpreter = printable(file.interpreter);
  if (!file.has_interpreter) {
    if (file.type == ET_DYN && file.has_dynamic && !file.is_pie) {
      return {"linkage", Health::failure, "it is a shared library, not a program",
              "name the program that loads it"};
    }
    if (file.go_program) {
      return {"linkage", Health::failure,
              "it is a Go program built without cgo, and so statically linked: the library does "
              "not get into it, and it is not affected",
              "nothing: Go turns such faults into panics, which the program can recover from"};
    }
    return {"linkage", Health::failure,
            "it is statically linked: there is no dynamic loader that could preload anything",
            "use a dynamically linked build"};
  }
  if (interpreter.find("ld-musl") != std::string::npos) {
    return {"linkage", Health::failure,
            fmt::format("it is built for musl ({}), and the library needs glibc", interpreter),
            "use a build for glibc"};
  }
  if (access(file.interpreter, X_OK) != 0) {
    return {"linkage", Health::failure,
            fmt::format("its dynamic loader {} does not exist", interpreter),
            "install the C library it was built for"};
  }
  if (!interpreter.ends_with("/ld-linux-x86-64.so.2")) {
    return {"linkage", Health::warning,
            fmt::format("its dynamic loader {} is not glibc's usual one", interpreter),
            "the library needs glibc 2.35 or newer"};
  }
  return {"linkage", Health::fine, "dynamically linked with glibc", ""};
}

Checks check_elf(const std::string& path, const image::ElfFile& file) {
  if (!file.is_64_bit || file.machine != EM_X86_64) {
    return {{"architecture", Health::failure,
             fmt::format("it is a {} program for {}, and the library is for x86-64",
                         file.is_64_bit ? "64-bit" : "32-bit", machine_name(file.machine)),
             "use an x86-64 build"}};
  }
  Checks checks = {{"architecture", Health::fine, "x86-64", ""}, check_linkage(file)};
  const ElfView elf(path);
  checks.push_back(check_signal_owner(file, elf));
  if (elf.has_unwind_table()) {
    checks.push_back({"unwind-table", Health::fine, "function bounds are known (.eh_frame)", ""});
  } else {
    checks.push_back({"unwind-table", Health::warning,
                      "it has no .eh_frame_hdr: where its functions begin and end is unknown, so "
                      "its own crashes are recorded but not healed",
                      "build it with -fasynchronous-unwind-tables and do not strip .eh_frame"});
  }
  if (file.id.kind == ModuleIdKind::content_hash) {
    checks.push_back({"build-id", Health::note,
                      "it has no build-id and is known by a hash of its contents",
                      "link it with -Wl,--build-id to start a little faster"});
  }
  return checks;
}

// "#!/usr/bin/env -S python3 -u" is run by python3.
Result<std::string> interpreter_of(const std::string& line) {
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    const size_t start = line.find_first_not_of(" \t", at);
    if (start == std::string::npos) {
      break;
    }
    const size_t end = std::min(line.find_first_of(" \t", start), line.size());
    words.push_back(line.substr(start, end - start));
    at = end;
  }
  if (words.empty()) {
    return fail("it names no interpreter after #!");
  }
  if (!words[0].ends_with("/env")) {
    return words[0];
  }
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i][0] != '-' && words[i].find('=') == std::string::npos) {
      return find_program(words[i]);
    }
  }
  return words[0];
}

Checks check_at_depth(const std::string& path, int depth);

Checks check_script(const std::string& line, int depth) {
  const Result<std::string> interpreter = interpreter_of(line);
  if (!interpreter || depth == deepest_script) {
    return {{"script", Health::failure,
             fmt::format("it is a script, and its interpreter cannot be run: {}",
                         interpreter ? "scripts of scripts without end"
                                     : printable(interpreter.error().message)),
             "install the interpreter, or correct the script's first line"}};
  }
  Checks checks = {{"script", Health::note,
                    fmt::format("it is a script run by {}: that is what the library goes into, "
                                "with every program it starts",
                                printable(*interpreter)),
                    ""}};
  const Checks rest = check_at_depth(*interpreter, depth + 1);
  checks.insert(checks.end(), rest.begin(), rest.end());
  return checks;
}

Checks check_at_depth(const std::string& path, int depth) {
  const auto failure = [](const char* name, std::string message, const char* advice) {
    return Checks{{name, Health::failure, std::move(message), advice}};
  };
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    return failure("file", fmt::format("{}: {}", path, std::strerror(errno)), "check the path");
  }
  if (S_ISDIR(status.st_mode)) {
    return failure("file", fmt::format("{} is a directory", path), "name a program in it");
  }
  if (!S_ISREG(status.st_mode)) {
    return failure("file", fmt::format("{} is not a regular file", path), "name a program");
  }
  Checks checks;
  if (access(path.c_str(), X_OK) == 0) {
    checks.push_back({"file", Health::fine, path, ""});
  } else {
    checks = failure("file", fmt::format("{} may not be executed", path), "chmod +x it");
  }
  image::ElfFile file;
  image::inspect_file(path.c_str(), file);
  Checks rest;
  switch (file.problem) {
    case image::ElfFileProblem::none:
      rest = check_elf(path, file);
      rest.push_back(check_privileges(path, status));
      break;
    case image::ElfFileProblem::cannot_open:
      rest = failure("format", "it cannot be read", "run doctor as a user who may read it");
      break;
    case image::ElfFileProblem::damaged:
      rest = failure("format", "it is a damaged ELF file", "install it again");
      break;
    case image::ElfFileProblem::not_elf:
      rest = file.script[0] != '\0'
                 ? check_script(file.script, depth)
                 : failure("format", "it is neither an ELF program nor a script with #!",
                           "name the program that is started in the end");
      break;
  }
  checks.insert(checks.end(), rest.begin(), rest.end());
  return checks;
}

}  // namespace

Checks check_program(const std::string& path) {
  return check_at_depth(path, 0);
}

std::string preload_obstacle(const std::string& path) {
  return first_failure(check_program(path));
}

}  // namespace selfheal::cli
