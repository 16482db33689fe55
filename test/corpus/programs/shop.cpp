// Orders. C++ in RAII style: results by bool, int, optional, string and smart pointer, under locks
// that guards hold.
#include "serve.h"

#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace {

struct Supplier {
  int rating;
};

struct Item {
  std::string name;
  int stock = 0;
  int price = 0;
  const Supplier* supplier = nullptr;
};

struct Order {
  Item* item = nullptr;
  int count = 0;
  std::string note;
  Order() { ++alive; }
  ~Order() { --alive; }
  Order(const Order&) = delete;
  Order& operator=(const Order&) = delete;
  static inline long alive = 0;
};

class Shop {
 public:
  Shop() {
    static const Supplier good{5};
    items_["nails"] = {"nails", 100, 3, &good};
    items_["paint"] = {"paint", 20, 40, &good};
    items_["relic"] = {"relic", 1, 0, nullptr};
  }

  STEP Item* find(const char* name);
  STEP bool reserve(Item& item, int count, const char* where);
  STEP int price_of(const Item& item, int count, int per);
  STEP std::optional<int> discount(const Item& item, const char* code) const;
  STEP std::unique_ptr<Order> make_order(Item& item, int count, const char* note);
  STEP std::string label(const Item& item, const char* style) const;
  STEP std::vector<int> batches(int count, int size) const;
  STEP std::shared_ptr<Order> last_of(const Item& item, const char* how);

  void order(char* request, reply* out);
  void show(char* request, reply* out);
  void batch(char* request, reply* out);
  void last(char* request, reply* out);
  void state(reply* out) const;

 private:
  std::mutex lock_;
  std::map<std::string, Item> items_;
  std::vector<std::shared_ptr<Order>> orders_;
  long totals_[4] = {};
  int waiting_ = 0;
  const char* no_note_ = nullptr;
};

// Bug: a name of another kind.
Item* Shop::find(const char* name) {
  const char* sign = std::strchr(name, '%');
  const char* end = sign != nullptr ? std::strchr(sign + 1, '%') : name;
  if (*end == ' ') {
    return nullptr;
  }
  auto found = items_.find(name);
  return found == items_.end() ? nullptr : &found->second;
}

// Bug: the shelf it is taken from.
bool Shop::reserve(Item& item, int count, const char* where) {
  std::lock_guard guard(lock_);
  ++waiting_;
  if (item.stock < count || count <= 0) {
    --waiting_;
    return false;
  }
  item.stock -= count;
  if (*where == '#') {
    totals_[std::strtol(where + 1, nullptr, 0)] += count;
  }
  --waiting_;
  return true;
}

// -1: no price. Bug: what is sold in parts of nothing.
int Shop::price_of(const Item& item, int count, int per) {
  if (item.price == 0) {
    return -1;
  }
  std::lock_guard guard(lock_);
  totals_[0] += count;
  int price = item.price * count / per;
  totals_[0] -= count;
  return price;
}

// Bug: an item nobody supplies.
std::optional<int> Shop::discount(const Item& item, const char* code) const {
  if (std::strlen(code) > 6) {
    return std::nullopt;
  }
  if (*code == 'S') {
    return item.supplier->rating * 2;
  }
  return 1;
}

// Bug: a note that has to be looked up.
std::unique_ptr<Order> Shop::make_order(Item& item, int count, const char* note) {
  auto order = std::make_unique<Order>();
  order->item = &item;
  order->count = count;
  if (std::strlen(note) > 20) {
    return nullptr;
  }
  order->note = note;
  if (order->note == "see-last") {
    order->note += no_note_[orders_.size()];
  }
  return order;
}

// "" when it cannot be shown. Bug: a style that is not.
std::string Shop::label(const Item& item, const char* style) const {
  if (*style == '\0') {
    return {};
  }
  std::string text(item.name.size() + 30, '.');
  switch (*style) {
    case 'l':
      text = item.name + " for everybody who has a long wall to fill";
      break;
    case 's':
      text = item.name;
      break;
    case 'q':
      __builtin_trap();
    default:
      return {};
  }
  return text;
}

// Empty when there are none. Bug: batches of nothing.
std::vector<int> Shop::batches(int count, int size) const {
  std::vector<int> result;
  if (count > 1000) {
    return result;
  }
  result.reserve(8);
  result.push_back(count);
  result.push_back(count / size);
  return result;
}

// Bug: an index into nothing.
std::shared_ptr<Order> Shop::last_of(const Item& item, const char* how) {
  for (std::size_t i = orders_.size(); i > 0; --i) {
    if (orders_[i - 1]->item == &item) {
      return orders_[*how == '!' ? i << 40 : i - 1];
    }
  }
  return nullptr;
}

void Shop::order(char* request, reply* out) {
  Item* item = find(next_word(&request));
  if (item == nullptr) {
    return answer(out, "ERR no such item");
  }
  int count = std::atoi(next_word(&request));
  int per = std::atoi(next_word(&request));
  const char* code = next_word(&request);
  int price = price_of(*item, count, per);
  if (price < 0) {
    return answer(out, "ERR no price");
  }
  const auto less = discount(*item, code);
  if (!less) {
    return answer(out, "ERR no discount");
  }
  auto made = make_order(*item, count, next_word(&request));
  if (made == nullptr) {
    return answer(out, "ERR no order");
  }
  if (!reserve(*item, count, next_word(&request))) {
    return answer(out, "ERR not reserved");
  }
  orders_.push_back(std::move(made));
  answer(out, "OK %d", price - *less);
}

void Shop::show(char* request, reply* out) {
  const Item* item = find(next_word(&request));
  if (item == nullptr) {
    return answer(out, "ERR no such item");
  }
  const std::string text = label(*item, next_word(&request));
  if (text.empty()) {
    return answer(out, "ERR no label");
  }
  const char* code = next_word(&request);
  if (const auto less = discount(*item, code); less) {
    return answer(out, "OK %s %d", text.c_str(), *less);
  }
  answer(out, "ERR no discount");
}

void Shop::batch(char* request, reply* out) {
  int count = std::atoi(next_word(&request));
  const auto sizes = batches(count, std::atoi(next_word(&request)));
  if (sizes.empty()) {
    return answer(out, "ERR no batches");
  }
  answer(out, "OK %d", sizes.back());
}

void Shop::last(char* request, reply* out) {
  const Item* item = find(next_word(&request));
  const auto order = item == nullptr ? nullptr : last_of(*item, next_word(&request));
  if (!order) {
    return answer(out, "ERR none");
  }
  answer(out, "OK %s", order->note.c_str());
}

void Shop::state(reply* out) const {
  answer(out, "orders=%zu waiting=%d totals=%ld,%ld,%ld,%ld", orders_.size(), waiting_, totals_[0],
         totals_[1], totals_[2], totals_[3]);
  for (const auto& [name, item] : items_) {
    answer(out, " %s:%d", name.c_str(), item.stock);
  }
  for (const auto& order : orders_) {
    answer(out, " %s*%d(%s)", order->item->name.c_str(), order->count, order->note.c_str());
  }
}

Shop& shop() {
  static Shop only;
  return only;
}

void handle(char* request, reply* out) {
  const std::string_view verb = next_word(&request);
  verb == "ORDER"   ? shop().order(request, out)
  : verb == "SHOW"  ? shop().show(request, out)
  : verb == "BATCH" ? shop().batch(request, out)
  : verb == "LAST"  ? shop().last(request, out)
                    : answer(out, "ERR unknown request");
}

}  // namespace

int main() {
  const server shop_server = {handle, [](reply* out) { shop().state(out); },
                              [] { return Order::alive; }};
  return serve(&shop_server);
}
