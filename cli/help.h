// --help: CLI11's, with descriptions wrapped and types kept short.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace selfheal::cli {

class HelpFormatter : public CLI::Formatter {
 public:
  // `usage`: the whole usage line, for a command whose arguments CLI11 does not know of.
  explicit HelpFormatter(std::string usage = "") : usage_(std::move(usage)) {
    column_width(column);
  }

  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;

 private:
  static constexpr size_t column = 32;  // where descriptions begin
  static constexpr size_t width = 80;

  std::string usage_;
};

// "did you mean 'list'?" for a command that does not exist; "" when nothing is near.
std::string nearest_command(const CLI::App& app, const std::string& name);

}  // namespace selfheal::cli
