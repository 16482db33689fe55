#include "cli/store_file.h"

#include <fcntl.h>
#include <string>

#include "lib/store/files.h"

namespace selfheal::cli {

long replace_file(const store::CatalogEditor& editor, const char* name,
                  std::span<const char> bytes) {
  const std::string new_name = std::string(name) + ".new";
  const store::Descriptor file(store::open_at(editor.directory(), new_name.c_str(),
                                              O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0640));
  long result =
      file.open() ? store::write_at(file.get(), bytes.data(), bytes.size(), 0) : file.result();
  result = result == 0 ? store::sync_file(file.get()) : result;
  return result == 0 ? store::rename_in(editor.directory(), new_name.c_str(), name) : result;
}

}  // namespace selfheal::cli
