// selfheal run without --restart: how the program is found, started, and what it is given.
#include <catch2/catch.hpp>
#include <csignal>
#include <sys/stat.h>

#include "test/cli/process.h"

namespace selfheal::cli::test {
namespace {

Finished run_program(const Arguments& arguments, Changes changes = {}) {
  static const Folder store;
  changes.emplace("SELFHEAL_STORE", store.path());
  return run(selfheal(arguments), with_library(changes));
}

// The value of a variable in the started program.
std::string seen(const std::string& variable, const Arguments& options = {}, Changes changes = {}) {
  Arguments arguments = {"run"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const Arguments program = {"--", "sh", "-c", "printf %s \"$" + variable + "\""};
  arguments.insert(arguments.end(), program.begin(), program.end());
  const Finished finished = run_program(arguments, changes);
  CHECK(finished.status == 0);
  CHECK(finished.err == "");
  return finished.out;
}

TEST_CASE("the program's exit status and signal are its own") {
  CHECK(run_program({"run", "--", "true"}).status == 0);
  CHECK(run_program({"run", "--", "sh", "-c", "exit 7"}).status == 7);
  CHECK(run_program({"run", "--", "sh", "-c", "kill -SEGV $$"}).status == 128 + SIGSEGV);
}

TEST_CASE("failures have env's statuses and one line that says what to do") {
  const Folder folder;
  write_file(folder / "plain", "no program", 0644);
  write_file(folder / "orphan", "#!/no/such/interpreter\n", 0755);

  const auto failed = [](const Finished& finished, int status, const std::string& message) {
    CHECK(finished.status == status);
    CHECK(finished.out == "");
    CHECK(finished.err == "selfheal: " + message + "\n");
  };
  failed(run_program({"run", "--", "no-such-program"}), 127,
         "'no-such-program' is not in any folder of PATH; give its full path");
  failed(run_program({"run", "--", "/no/such/program"}), 127,
         "'/no/such/program' does not exist; check the path");
  failed(run_program({"run", "--", folder / "plain"}), 126,
         "'" + folder / "plain" + "' may not be executed; check its permissions (chmod +x)");
  failed(run_program({"run", "--", folder.path()}), 126,
         "'" + folder.path() + "' is a directory; name a program in it");
  failed(run_program({"run"}), 125,
         "say what to run after `--`: selfheal run -- PROGRAM ARGUMENTS");
  failed(run_program({"run", "--"}), 125,
         "say what to run after `--`: selfheal run -- PROGRAM ARGUMENTS");
  failed(run_program({"run", "--", "true"}, {{"SELFHEAL_LIBRARY", "/no/such/library.so"}}), 125,
         "cannot read the library '/no/such/library.so'; set SELFHEAL_LIBRARY to the path of "
         "libselfheal.so");
  CHECK(run_program({"run", "--no-such-option", "--", "true"}).status == 125);
  CHECK(run_program({"run", "--mode", "bogus", "--", "true"}).status == 125);
  CHECK(run_program({"run", "--", folder / "orphan"}).status == 127);
}

TEST_CASE("arguments after -- are the program's, whatever they look like") {
  const Finished finished =
      run_program({"run", "--", "printf", "%s|", "--help", "--", "run", "a b", ""});
  CHECK(finished.status == 0);
  CHECK(finished.out == "--help|--|run|a b||");
}

TEST_CASE("the library comes first in LD_PRELOAD and the rest stays") {
  const std::string library = PRELOAD_PROBE;
  CHECK(seen("LD_PRELOAD") == library);
  const Folder folder;
  REQUIRE(run({"cp", library, folder / "other.so"}).status == 0);
  const std::string other = folder / "other.so";
  CHECK(seen("LD_PRELOAD", {}, {{"LD_PRELOAD", other}}) == library + ":" + other);
  CHECK(seen("LD_PRELOAD", {}, {{"LD_PRELOAD", other + " " + library}}) == library + ":" + other);
}

TEST_CASE("a library path that LD_PRELOAD cannot hold is refused") {
  const Folder folder;
  const std::string path = folder / "a b.so";
  REQUIRE(run({"cp", PRELOAD_PROBE, path}).status == 0);
  const Finished finished = run_program({"run", "--", "true"}, {{"SELFHEAL_LIBRARY", path}});
  CHECK(finished.status == 125);
  CHECK(finished.err.find("holds a ':' or a blank") != std::string::npos);
}

TEST_CASE("options go through SELFHEAL_OPTIONS, on top of the environment's") {
  CHECK(seen("SELFHEAL_OPTIONS") == "");
  CHECK(seen("SELFHEAL_OPTIONS", {"--mode", "observe"}) == "mode=observe");
  CHECK(seen("SELFHEAL_OPTIONS", {"--mode=eager", "--region", "a.so!f", "--region", "b.so+0x10"}) ==
        "mode=eager:region=a.so!f:region=b.so+0x10");
  CHECK(seen("SELFHEAL_OPTIONS", {"--mode", "observe"},
             {{"SELFHEAL_OPTIONS", "mode=eager:heals-per-minute=5"}}) ==
        "mode=observe:heals-per-minute=5");
  CHECK(seen("SELFHEAL_OPTIONS", {"--verbose"}) == "verbose=yes");
}

TEST_CASE("an unknown option in the environment is named once and does not stop the program") {
  const Finished finished =
      run_program({"run", "--", "true"}, {{"SELFHEAL_OPTIONS", "mod=observe"}});
  CHECK(finished.status == 0);
  CHECK(finished.err.find("selfheal: ") == 0);
  CHECK(finished.err.find("mode") != std::string::npos);  // the nearest known name
  CHECK(finished.err.find('\n') == finished.err.size() - 1);
}

TEST_CASE("--store wins over SELFHEAL_STORE and is made absolute") {
  const Folder folder;
  CHECK(seen("SELFHEAL_STORE", {"--store", folder / "x/../store"},
             {{"SELFHEAL_STORE", "/nowhere"}}) == folder / "store");
  struct stat status {};
  CHECK(stat((folder / "store/journal").c_str(), &status) == 0);
}

TEST_CASE("the library is told which file stderr is") {
  const Finished finished = run_program(
      {"run", "--", "sh", "-c", "echo $SELFHEAL_STDERR; stat -L -c %d:%i /proc/self/fd/2"});
  const size_t line = finished.out.find('\n');
  REQUIRE(line != std::string::npos);
  CHECK(finished.out.substr(0, line + 1) == finished.out.substr(line + 1));
}

TEST_CASE("a program that cannot be preloaded is run all the same, after a line that says so") {
  const Finished finished = run_program({"run", "--", STATIC_PROGRAM});
  CHECK(finished.status == 42);
  CHECK(finished.err == "selfheal: " STATIC_PROGRAM
                        " runs without healing: it is statically linked: there is no dynamic "
                        "loader that could preload anything (`selfheal doctor` says what to do)\n");
}

TEST_CASE("an unusable store is named and the program runs") {
  const Folder folder;
  write_file(folder / "file", "in the way");
  const Finished finished =
      run_program({"run", "--store", folder / "file", "--", "sh", "-c", "exit 3"});
  CHECK(finished.status == 3);
  CHECK(finished.err.find("(the program runs without healing)\n") != std::string::npos);
}

}  // namespace
}  // namespace selfheal::cli::test
