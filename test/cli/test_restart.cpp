// selfheal run --restart: supervision.
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/supervisor.h"
#include "test/cli/process.h"

namespace selfheal::cli::test {
namespace {

using std::chrono::milliseconds;

// `selfheal run --restart OPTIONS -- sh -c SCRIPT`, quick to restart.
Arguments supervised(const std::string& script, const Arguments& options = {}) {
  static const Folder store;
  Arguments arguments = {"run", "--restart", "--restart-delay", "0.01", "--store", store.path()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const Arguments program = {"--", "sh", "-c", script};
  arguments.insert(arguments.end(), program.begin(), program.end());
  return selfheal(arguments);
}

size_t lines_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  return static_cast<size_t>(std::count(all.begin(), all.end(), '\n'));
}

TEST_CASE("delays double up to the longest") {
  RestartPolicy policy;
  policy.first_delay = milliseconds(100);
  policy.longest_delay = milliseconds(1000);
  CHECK(restart_delay(policy, 1) == milliseconds(100));
  CHECK(restart_delay(policy, 2) == milliseconds(200));
  CHECK(restart_delay(policy, 4) == milliseconds(800));
  CHECK(restart_delay(policy, 5) == milliseconds(1000));
  CHECK(restart_delay(policy, 4'000'000'000) == milliseconds(1000));
}

TEST_CASE("a program that ends well is not started again") {
  const Finished finished = run(supervised("echo once"), with_library());
  CHECK(finished.status == 0);
  CHECK(finished.out == "once\n");
  CHECK(finished.err == "");
}

TEST_CASE("a crashed program is started again until it ends well") {
  const Folder folder;
  const std::string script = "echo x >> " + folder / "runs" + "; [ $(wc -l < " + folder / "runs" +
                             ") = 3 ] || kill -SEGV $$";
  const Finished finished = run(supervised(script), with_library());
  CHECK(finished.status == 0);
  CHECK(lines_of(folder / "runs") == 3);
  CHECK(finished.err.find("died of SIGSEGV; restart 1 in 10 ms\n") != std::string::npos);
  CHECK(finished.err.find("died of SIGSEGV; restart 2 in 20 ms\n") != std::string::npos);
}

TEST_CASE("after max-restarts in a row the last status is ours") {
  const Folder folder;
  const std::string script = "echo x >> " + folder / "runs" + "; exit 9";
  const Finished finished = run(supervised(script, {"--max-restarts", "2"}), with_library());
  CHECK(finished.status == 9);
  CHECK(lines_of(folder / "runs") == 3);
  CHECK(finished.err.find("ended with status 9; gave up after 2 restarts\n") != std::string::npos);
  CHECK(run(supervised("kill -BUS $$", {"--max-restarts", "1"}), with_library()).status ==
        128 + SIGBUS);
}

TEST_CASE("a healthy time clears delay and count") {
  const Folder folder;
  const std::string script =
      "echo x >> " + folder / "runs" + "; [ $(wc -l < " + folder / "runs" + ") = 4 ] || exit 1";
  const Finished finished =
      run(supervised(script, {"--max-restarts", "1", "--healthy-after", "0.000"}), with_library());
  CHECK(finished.status == 0);
  CHECK(finished.err.find("restart 2") == std::string::npos);
}

TEST_CASE("what cannot be executed is not tried again") {
  const Folder folder;
  write_file(folder / "broken",
             std::string("\x7f"
                         "ELF nonsense",
                         13),
             0755);
  const Finished finished =
      run(selfheal({"run", "--restart", "--store", folder / "store", "--", folder / "broken"}),
          with_library());
  CHECK(finished.status == 126);
  CHECK(finished.err.find("restart") == std::string::npos);
}

TEST_CASE("signals reach the program, and only ending ones end the supervision") {
  Process process(supervised("trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'echo winch' WINCH; "
                             "trap 'echo bye; exit 0' TERM; echo ready; "
                             "while :; do sleep 0.02; done"),
                  with_library());
  REQUIRE(process.says("ready"));
  process.signal(SIGHUP);
  REQUIRE(process.says("hup"));
  process.signal(SIGUSR1);
  REQUIRE(process.says("usr1"));
  process.signal(SIGWINCH);
  REQUIRE(process.says("winch"));
  process.signal(SIGTERM);
  REQUIRE(process.says("bye"));
  const Finished finished = process.finish();
  CHECK(finished.status == 0);
  CHECK(finished.err == "");
}

TEST_CASE("a forwarded signal that kills the program ends us with 128+n") {
  Process process(supervised("echo ready; while :; do sleep 0.02; done"), with_library());
  REQUIRE(process.says("ready"));
  process.signal(SIGTERM);
  const Finished finished = process.finish();
  CHECK(finished.status == 128 + SIGTERM);
  CHECK(finished.err == "");

  Process second(supervised("echo ready; while :; do sleep 0.02; done"), with_library());
  REQUIRE(second.says("ready"));
  second.signal(SIGUSR2);
  CHECK(second.finish().status == 128 + SIGUSR2);
}

TEST_CASE("a signal during the delay ends the supervision") {
  Process process(supervised("exit 5", {"--restart-delay", "30"}), with_library());
  REQUIRE(process.complains("restart 1 in 30000 ms"));
  process.signal(SIGTERM);
  CHECK(process.finish().status == 5);
}

// The children of a process that are zombies.
size_t zombies_of(pid_t parent) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string pid, name, state, ppid;
    if (file >> pid >> name >> state >> ppid && state == "Z" && ppid == std::to_string(parent)) {
      ++count;
    }
  }
  return count;
}

TEST_CASE("orphans become our children and are reaped") {
  // The inner shell leaves a child behind whose parent is then the supervisor.
  Process process(supervised("sh -c '(sleep 0.05; ps -o ppid= -p $(sh -c \"echo \\$PPID\"); "
                             "echo orphan-done) & echo parent-$$-gone'; "
                             "while :; do sleep 0.02; done"),
                  with_library());
  REQUIRE(process.says("orphan-done"));
  const std::string pid = std::to_string(process.pid());
  CHECK(process.out().find(pid + "\n") != std::string::npos);
  // Asked once more, there may be the next one, not yet reaped.
  size_t zombies = zombies_of(process.pid());
  for (int i = 0; i < 500 && zombies != 0; ++i) {
    usleep(10'000);
    zombies = zombies_of(process.pid());
  }
  CHECK(zombies == 0);
  process.signal(SIGTERM);
  CHECK(process.finish().status == 128 + SIGTERM);
}

TEST_CASE("what a crashed program leaves of its process group is ended before it starts again") {
  const Folder folder;
  const std::string script = "if [ -e " + folder / "worker" + " ]; then " + "kill -0 $(cat " +
                             folder / "worker" +
                             ") 2>/dev/null && echo alive || echo gone; exit 0; fi; " +
                             "sleep 60 & echo $! > " + folder / "worker" + "; kill -SEGV $$";
  const Finished finished = run(supervised(script), with_library());
  CHECK(finished.status == 0);
  CHECK(finished.out == "gone\n");
}

TEST_CASE("works as PID 1 of a PID namespace") {
  Arguments arguments = {"unshare", "--pid", "--fork", "--mount-proc"};
  if (run({"unshare", "--pid", "--fork", "--mount-proc", "true"}).status != 0) {
    WARN("no PID namespaces here: not tested");
    return;
  }
  const Arguments rest = supervised(
      "(sleep 0.02; echo orphan >&2) & (sleep 0.01 &) ; sleep 0.1; echo pid $PPID; "
      "ps -eo stat= | grep -c Z; exit 4",
      {"--max-restarts", "1"});
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  const Finished finished = run(arguments, with_library());
  CHECK(finished.status == 4);
  CHECK(finished.out == "pid 1\n0\npid 1\n0\n");
}

TEST_CASE("on a terminal, Ctrl-C ends the program and Ctrl-Z stops the job") {
  // `read` and not `sleep`: a shell that is just starting a command by vfork cannot be stopped.
  Process process(supervised("echo ready; while :; do read line; done"), with_library(),
                  Process::Terminal{});
  REQUIRE(process.says("ready"));
  process.type("\x1a");
  REQUIRE(process.stops());
  process.signal(SIGCONT);
  // Whether the program is in the foreground again already or not, this reaches it.
  process.type("\x03");
  CHECK(process.finish().status == 128 + SIGINT);
}

TEST_CASE("on a terminal, the program can read") {
  Process process(supervised("echo ready; read line; echo got-$line"), with_library(),
                  Process::Terminal{});
  REQUIRE(process.says("ready"));
  process.type("hello\n");
  CHECK(process.says("got-hello"));
  CHECK(process.finish().status == 0);
}

}  // namespace
}  // namespace selfheal::cli::test
