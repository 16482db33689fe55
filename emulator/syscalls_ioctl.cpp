// ioctl: requests say what they do in their own number (asm-generic/ioctl.h), but for those older
// than that rule, which are listed.
#include <asm/ioctl.h>
#include <asm/ioctls.h>
#include <linux/sockios.h>

#include "emulator/syscalls_internal.h"

namespace selfheal::emulator {

namespace {

struct Request {
  u32 number;
  u16 fills;     // bytes written at argument 2
  bool changes;  // something that stays
};

constexpr u16 ifreq_size = 40;

constexpr Request old_requests[] = {
    {TCGETS, 36, false},
    {TCSETS, 0, true},
    {TCSETSW, 0, true},
    {TCSETSF, 0, true},
    {TCSBRK, 0, true},
    {TCXONC, 0, true},
    {TCFLSH, 0, true},
    {TIOCSCTTY, 0, true},
    {TIOCNOTTY, 0, true},
    {TIOCGPGRP, 4, false},
    {TIOCSPGRP, 0, true},
    {TIOCGSID, 4, false},
    {TIOCGWINSZ, 8, false},
    {TIOCSWINSZ, 0, true},
    {TIOCOUTQ, 4, false},
    {TIOCMGET, 4, false},
    {TIOCGETD, 4, false},
    {FIONREAD, 4, false},
    {FIONBIO, 0, true},
    {FIOASYNC, 0, true},
    {FIOCLEX, 0, true},
    {FIONCLEX, 0, true},
    {FIOQSIZE, 8, false},
    {SIOCATMARK, 4, false},
    {0x8904, 4, false},
    {0x8906, 16, false},
    {0x8907, 16, false},
    {SIOCGIFNAME, ifreq_size, false},
    {SIOCGIFFLAGS, ifreq_size, false},
    {SIOCGIFADDR, ifreq_size, false},
    {SIOCGIFDSTADDR, ifreq_size, false},
    {SIOCGIFBRDADDR, ifreq_size, false},
    {SIOCGIFNETMASK, ifreq_size, false},
    {SIOCGIFMETRIC, ifreq_size, false},
    {SIOCGIFMTU, ifreq_size, false},
    {SIOCGIFHWADDR, ifreq_size, false},
    {SIOCGIFINDEX, ifreq_size, false},
};

// False: nobody knows what it writes.
bool classify(u32 number, Request& request) {
  for (const Request& old : old_requests) {
    if (old.number == number) {
      request = old;
      return true;
    }
  }
  const u32 direction = _IOC_DIR(number);
  if (direction == _IOC_NONE) {
    return false;
  }
  const u32 size = _IOC_SIZE(number);
  request = {number, static_cast<u16>((direction & _IOC_READ) != 0 ? size : 0),
             (direction & _IOC_WRITE) != 0};
  return true;
}

}  // namespace

EffectResult handle_ioctl(Call& call) {
  Request request{};
  if (!classify(static_cast<u32>(call.argument(1)), request)) {
    return EffectResult::unsupported;
  }
  if (request.fills != 0 && !call.keep_fixed(2, request.fills)) {
    return EffectResult::log_full;
  }
  call.perform();
  return request.changes ? call.irrevocable() : call.done();
}

}  // namespace selfheal::emulator
