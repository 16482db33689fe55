#include "cli/campaign/study.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>
#include <fnmatch.h>
#include <fstream>

#include "cli/campaign/cell.h"
#include "cli/session.h"

namespace selfheal::cli::campaign {
namespace {

namespace fs = std::filesystem;

constexpr u8 int3 = 0xcc;

// Those that the runtime never blames, and itself.
constexpr std::array not_its_own = {"libc.so*",    "libc-*",       "ld-linux*",  "libm.so*",
                                    "libpthread*", "libdl.so*",    "librt.so*",  "libstdc++*",
                                    "libgcc_s*",   "libselfheal*", "libresolv*", "libnss_*"};

bool matches(const std::string& name, const std::string& pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

bool wanted(const std::string& path, const std::vector<std::string>& patterns) {
  const std::string name = fs::path(path).filename().string();
  const auto fits = [&](const auto& pattern) { return matches(name, pattern); };
  return patterns.empty() ? std::none_of(not_its_own.begin(), not_its_own.end(), fits)
                          : std::any_of(patterns.begin(), patterns.end(), fits);
}

Result<Json> run_json(const std::function<std::string()>& work) {
  const Result<std::string> text = run_cell(work);
  if (!text) {
    return tl::unexpected(text.error());
  }
  Json result = Json::parse(*text, nullptr, false);
  if (result.is_discarded()) {
    return fail("a cell gave no whole result");
  }
  if (result.contains("error")) {
    return fail(result["error"].get<std::string>());
  }
  return result;
}

Json load(const std::string& file) {
  std::ifstream in(file);
  return in ? Json::parse(in, nullptr, false) : Json();
}

Result<std::vector<Target>> open_targets(const Json& files,
                                         const std::vector<std::string>& patterns) {
  std::vector<Target> targets;
  for (const auto& item : files) {
    const std::string path = item.get<std::string>();
    if (!wanted(path, patterns)) {
      continue;
    }
    Result<std::unique_ptr<Binary>> binary = Binary::open(path);
    if (!binary) {
      warn(binary.error().message + "; no faults in it");
      continue;
    }
    Target target;
    target.places = find_places(**binary);
    target.binary = std::move(*binary);
    targets.push_back(std::move(target));
  }
  if (targets.empty()) {
    std::string names;
    for (const auto& item : files) {
      names += (names.empty() ? "" : ", ") + fs::path(item.get<std::string>()).filename().string();
    }
    return fail(
        fmt::format("none of the files that the server runs is to get faults; --module "
                    "names them: {}",
                    names));
  }
  return targets;
}

Result<Json> cover_targets(const Setting& setting, const std::vector<Target>& targets,
                           const std::string& folder) {
  std::vector<TrapFile> trapped;
  for (const Target& target : targets) {
    TrapFile file;
    file.path = target.binary->path();
    file.copy = fmt::format("{}/int3-{}-{}", folder, trapped.size(), target.binary->name());
    file.bias = target.binary->code_bias();
    std::vector<Binary::Patch> patches;
    for (const Place& place : target.places) {
      const u8 byte = target.binary->bytes(place.address, 1).front();
      if (file.original.emplace(place.address, byte).second) {
        patches.push_back({place.address, {int3}});
      }
    }
    if (const Outcome written = target.binary->write_changed(file.copy, patches); !written) {
      return tl::unexpected(written.error());
    }
    trapped.push_back(std::move(file));
  }
  return run_json([&] { return cover(setting, folder, trapped); });
}

void take_seen(const Json& seen, std::vector<Target>& targets) {
  for (Target& target : targets) {
    const auto places = seen.find(target.binary->path());
    if (places == seen.end()) {
      continue;
    }
    for (const auto& [address, when] : places->items()) {
      target.seen[std::strtoull(address.c_str(), nullptr, 16)] =
          when == "serving" ? Seen::serving : Seen::start_up;
    }
  }
}

Json build_ids(const std::vector<Target>& targets) {
  Json result = Json::object();
  for (const Target& target : targets) {
    result[target.binary->path()] = target.binary->build_id();
  }
  return result;
}

void take_answers(const Json& answers, Answers& reference) {
  for (const auto& [name, text] : answers.items()) {
    reference[name] = answer_of(text.get<std::string>());
  }
}

}  // namespace

Result<Study> study_server(Setting& setting, const StudyRequest& request,
                           const std::string& folder) {
  const std::string file = folder + "/study.json";
  const std::string scratch = folder + "/study";
  Study study;
  const Json known = load(file);
  if (known.is_object() && known.value("key", "") == request.key) {
    Result<std::vector<Target>> targets = open_targets(known["files"], request.modules);
    if (targets && build_ids(*targets) == known["build_ids"]) {
      study.targets = std::move(*targets);
      take_answers(known["answers"], study.reference);
      take_seen(known["seen"], study.targets);
      setting.reference = study.reference;
      return study;
    }
  }
  std::error_code error;
  fs::remove_all(scratch, error);
  fs::create_directories(scratch, error);
  if (error) {
    return fail(
        fmt::format("cannot make '{}': {}; name another --output", scratch, error.message()));
  }
  const Result<Json> reference = run_json([&] { return survey(setting, scratch); });
  if (!reference) {
    return tl::unexpected(reference.error());
  }
  take_answers((*reference)["answers"], study.reference);
  setting.reference = study.reference;
  if (const Result<Json> same = run_json([&] { return control(setting, scratch); }); !same) {
    return tl::unexpected(same.error());
  }
  Result<std::vector<Target>> targets = open_targets((*reference)["files"], request.modules);
  if (!targets) {
    return tl::unexpected(targets.error());
  }
  study.targets = std::move(*targets);
  Json seen = Json::object();
  if (!request.all_functions) {
    Result<Json> covered = cover_targets(setting, study.targets, scratch);
    if (!covered) {
      return tl::unexpected(covered.error());
    }
    seen = std::move((*covered)["seen"]);
  }
  take_seen(seen, study.targets);
  std::ofstream(file) << Json({{"key", request.key},
                               {"answers", (*reference)["answers"]},
                               {"files", (*reference)["files"]},
                               {"build_ids", build_ids(study.targets)},
                               {"seen", seen}})
                             .dump(1)
                      << '\n';
  fs::remove_all(scratch, error);
  return study;
}

}  // namespace selfheal::cli::campaign
