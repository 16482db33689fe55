#include "emulator/serving.h"

#include <sys/syscall.h>

namespace selfheal::emulator {
namespace {

// One more than there is room for is not told from others, and not watched.
Serving::Peer* peer_of(Serving& serving, u32 descriptor, bool reads) {
  for (u32 i = 0; i < serving.count; ++i) {
    if (serving.peers[i].descriptor == descriptor) {
      return &serving.peers[i];
    }
  }
  if (serving.count == Serving::capacity) {
    return nullptr;
  }
  Serving::Peer& peer = serving.peers[serving.count++];
  peer.descriptor = descriptor;
  peer.client = reads;
  peer.answered = false;
  return &peer;
}

}  // namespace

bool turns_out_to_serve(Serving& serving, u64 number, u64 descriptor) {
  switch (number) {
    case SYS_accept:
    case SYS_accept4:
      return true;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
      return ++serving.waits > Serving::most_waits;
    case SYS_read:
    case SYS_readv:
    case SYS_recvfrom:
    case SYS_recvmsg: {
      const Serving::Peer* peer = peer_of(serving, static_cast<u32>(descriptor), true);
      serving.waits += serving.spoke ? 1 : 0;
      serving.spoke = false;
      return (peer != nullptr && peer->client && peer->answered) ||
             serving.waits > Serving::most_waits;
    }
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendfile:
      serving.spoke = true;
      if (Serving::Peer* peer = peer_of(serving, static_cast<u32>(descriptor), false)) {
        peer->answered = true;
      }
      return false;
    default:
      return false;
  }
}

}  // namespace selfheal::emulator
