// The data behind mod_fragile: members, teams and votes of one server process.
//
// Results are httpd's own: OK or an HTTP status, NULL where a pointer is asked for. Each function
// called "fragile" below has one ordinary mistake; the caller knows how to answer when it fails.
#ifndef ELECTION_H
#define ELECTION_H

#include <apr_pools.h>
#include <httpd.h>

// Once a process, before its threads start.
apr_status_t election_open(apr_pool_t* pool);

// Where a member lives; NULL for a stranger. Fragile: a member may have no address.
const char* election_city(const char* member);

// Average age of a team; OK or HTTP_NOT_FOUND. Fragile: a team may have no members.
int election_average_age(const char* team, long* age);

// Casts a vote into a ballot box; OK, HTTP_NOT_FOUND or HTTP_INSUFFICIENT_STORAGE. Fragile: there
// may be no such box, which is found out after the vote was counted.
int election_vote(const char* member, long box);

// The browser's name without its version; NULL when it cannot be told. Fragile: a request may not
// name a browser, which only libc's strcspn notices.
const char* election_browser(request_rec* r);

// Everything that votes have changed, as text.
const char* election_state(apr_pool_t* pool);

#endif
