#include <atomic>
#include <catch2/catch.hpp>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <thread>

#include "test/effects/call.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

TEST_CASE("A mutex taken in a region is free after its rollback, and a waiter gets it") {
  use_own_libc();
  GuestThread guest;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  CHECK(call(guest, "pthread_mutex_lock", &mutex) == 0);
  CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
  std::atomic<bool> got{false};
  std::thread waiter([&] {
    pthread_mutex_lock(&mutex);
    got = true;
    pthread_mutex_unlock(&mutex);
  });
  while (__atomic_load_n(&mutex.__data.__lock, __ATOMIC_ACQUIRE) != 2) {
    std::this_thread::yield();
  }
  CHECK_FALSE(got);
  const RollbackResult result = guest.log().rollback();
  CHECK(result.actions == 1);
  CHECK(result.failed == 0);
  waiter.join();
  CHECK(got);
  CHECK(pthread_mutex_trylock(&mutex) == 0);
}

TEST_CASE("A mutex released in a region is held again after its rollback") {
  use_own_libc();
  GuestThread guest;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  CHECK(call(guest, "pthread_mutex_unlock", &mutex) == 0);
  CHECK(guest.log().rollback().failed == 0);
  CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
  pthread_mutex_unlock(&mutex);
}

TEST_CASE("What a released lock guards is restored under the lock") {
  use_own_libc();
  GuestThread guest;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  u64 guarded = 1;
  call(guest, "pthread_mutex_lock", &mutex);
  REQUIRE(guest.log().save_value<u64>(address_of(&guarded)));
  guarded = 2;
  call(guest, "pthread_mutex_unlock", &mutex);

  SECTION("it is free at the rollback") {
    CHECK(guest.log().rollback().failed == 0);
    CHECK(guarded == 1);
    CHECK(pthread_mutex_trylock(&mutex) == 0);
  }
  SECTION("another thread has it for good: not waited for, and not taken from it") {
    std::thread([&] { pthread_mutex_lock(&mutex); }).join();
    CHECK(guest.log().rollback().failed == 1);
    CHECK(guarded == 1);
    CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
  }
}

TEST_CASE("A recursive mutex goes back to its count") {
  use_own_libc();
  GuestThread guest;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutex_lock(&mutex);
  call(guest, "pthread_mutex_lock", &mutex);
  call(guest, "pthread_mutex_lock", &mutex);
  call(guest, "pthread_mutex_unlock", &mutex);
  CHECK(guest.log().rollback().failed == 0);
  CHECK(mutex.__data.__count == 1);
  pthread_mutex_unlock(&mutex);
  CHECK(mutex.__data.__owner == 0);
}

TEST_CASE("A robust mutex whose owner has died is found so again after a rollback") {
  use_own_libc();
  GuestThread guest;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  std::thread([&] { pthread_mutex_lock(&mutex); }).join();
  CHECK(call(guest, "pthread_mutex_lock", &mutex) == EOWNERDEAD);
  CHECK(guest.log().rollback().failed == 0);
  CHECK(pthread_mutex_lock(&mutex) == EOWNERDEAD);
  CHECK(pthread_mutex_consistent(&mutex) == 0);
  CHECK(pthread_mutex_unlock(&mutex) == 0);
  CHECK(mutex.__data.__nusers == 0);
  CHECK(pthread_mutex_destroy(&mutex) == 0);
}

TEST_CASE("A lock that was not got is not given back") {
  use_own_libc();
  GuestThread guest;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  CHECK(call(guest, "pthread_mutex_trylock", &mutex) == EBUSY);
  CHECK(guest.log().rollback().actions == 0);
  CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
  pthread_mutex_unlock(&mutex);
}

TEST_CASE("Read-write locks, spin locks and semaphores go back") {
  use_own_libc();
  GuestThread guest;
  pthread_rwlock_t held_for_writing = PTHREAD_RWLOCK_INITIALIZER;
  pthread_rwlock_t held_for_reading = PTHREAD_RWLOCK_INITIALIZER;
  pthread_rwlock_t free_lock = PTHREAD_RWLOCK_INITIALIZER;
  pthread_spinlock_t spin;
  pthread_spin_init(&spin, 0);
  sem_t semaphore;
  sem_init(&semaphore, 0, 3);
  pthread_rwlock_wrlock(&held_for_writing);
  pthread_rwlock_rdlock(&held_for_reading);

  call(guest, "pthread_rwlock_unlock", &held_for_writing);
  call(guest, "pthread_rwlock_unlock", &held_for_reading);
  call(guest, "pthread_rwlock_wrlock", &free_lock);
  call(guest, "pthread_spin_lock", &spin);
  call(guest, "sem_wait", &semaphore);
  call(guest, "sem_wait", &semaphore);
  call(guest, "sem_post", &semaphore);
  CHECK(guest.log().rollback().failed == 0);

  CHECK(pthread_rwlock_tryrdlock(&held_for_writing) != 0);
  CHECK(pthread_rwlock_trywrlock(&held_for_reading) == EBUSY);
  CHECK(pthread_rwlock_tryrdlock(&held_for_reading) == 0);
  CHECK(pthread_rwlock_trywrlock(&free_lock) == 0);
  CHECK(pthread_spin_trylock(&spin) == 0);
  int value = 0;
  sem_getvalue(&semaphore, &value);
  CHECK(value == 3);
}

TEST_CASE("A bad lock pointer is declined, so that it faults as guest code") {
  use_own_libc();
  GuestThread guest;
  for (const char* name : {"pthread_mutex_lock", "pthread_mutex_unlock", "pthread_rwlock_unlock",
                           "sem_wait", "pthread_cond_signal", "pthread_cond_wait"}) {
    INFO(name);
    CHECK(try_call(guest, name, u64{0x28}, u64{0x30}) == EffectResult::interpret);
  }
  CHECK(guest.log().empty());
}

TEST_CASE("Waiting on a condition is irrevocable and runs on the guest's stack") {
  use_own_libc();
  GuestThread guest;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  bool ready = false;
  pthread_mutex_lock(&mutex);
  std::thread other([&] {
    pthread_mutex_lock(&mutex);
    ready = true;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
  });
  while (!ready) {
    CHECK(call(guest, "pthread_cond_wait", &condition, &mutex) == 0);
  }
  other.join();
  CHECK(guest.log().irrevocable() >= 1);
  guest.log().rollback();
  CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
  pthread_mutex_unlock(&mutex);
}

TEST_CASE("A thread may be created and joined in a region, irrevocably") {
  use_own_libc();
  GuestThread guest;
  pthread_t thread{};
  static int ran = 0;
  void* (*start)(void*) = [](void* argument) -> void* {
    ++ran;
    return argument;
  };
  CHECK(call(guest, "pthread_create", &thread, u64{0}, address_of_function(start), u64{77}) == 0);
  u64 result = 0;
  CHECK(call(guest, "pthread_join", static_cast<u64>(thread), &result) == 0);
  CHECK(result == 77);
  CHECK(ran == 1);
  CHECK(guest.log().irrevocable() == 2);
  guest.log().rollback();
  CHECK(result == 0);
  CHECK(thread == 0);
}
