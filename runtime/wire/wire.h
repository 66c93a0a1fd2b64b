// SPDX-License-Identifier: Apache-2.0
//
// The Kafka wire format: frames to structs and back. No I/O, no policy, no Kafka semantics.
//
// schema/*.txt lists every message as data; generate.py turns it into messages.h (the structs) and
// tables (struct wire_message, struct wire_field); decode.c and encode.c walk the tables, for both
// directions and all versions, in the old and the flexible encoding (KIP-482). So there is one
// place per direction where a count, a length or a null from outside is checked.
//
//     struct wire_request q;                              // a frame without its 4-byte length
//     rc = wire_request_decode(frame, &q, e);             // the header; q.body is the rest
//     struct produce_request *req = WIRE_NEW(arena, produce_request, 1);
//     rc = wire_decode(q.api->request, q.version, q.body, arena, req, e);
//     ...
//     struct produce_response res;
//     wire_defaults(&wire_produce_response, &res);
//     res.responses.items = WIRE_NEW(arena, produce_response_topic, n);
//     rc = wire_response_encode(&q, &res, NULL, out, e);  // appends length, header and body
//
// What a decoded struct holds: strings, bytes and records are borrowed from the frame, which must
// outlive it; arrays come from the arena; a null string is BYTES_NULL, a null array has n = -1, a
// struct that may be null is a pointer. A field that the version lacks has its default.
//
// What an encoder refuses: null where the version does not allow it, and a field whose value is not
// its default in a version that lacks it, unless the schema calls it ignorable. Start from
// wire_defaults or WIRE_NEW, not from zeroes: many defaults are -1, and an empty string is not a
// null one.
#ifndef LEAT_WIRE_WIRE_H
#define LEAT_WIRE_WIRE_H

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/uuid.h"

enum wire_type {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_INT32,
    WIRE_INT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS,  // bytes that are never copied, see struct wire_gaps
    WIRE_STRUCT,   // lies in its owner
    WIRE_OPTIONAL, // a pointer; NULL is absent (KIP-893)
};

enum wire_flag {
    WIRE_ARRAY = 1,      // struct { int32_t n; T *items; }
    WIRE_IGNORABLE = 2,  // dropped silently by versions that lack it
    WIRE_INFLEXIBLE = 4, // keeps the old encoding in flexible versions
};

struct wire_message;

struct wire_field {
    const char *name;
    const struct wire_message *of; // of WIRE_STRUCT and WIRE_OPTIONAL
    int64_t fallback;              // the default; for what can be null: 1 = null, 0 = empty
    uint16_t offset;               // in the struct
    uint8_t type;
    uint8_t flags;
    int8_t since, until;           // versions that have it
    int8_t null_since, null_until; // versions in which it may be null
    int8_t tag;                    // -1: not tagged
};

// A message, or a struct inside of one (then versions are those of the message).
struct wire_message {
    const char *name;                // of the message
    const struct wire_field *fields; // n_plain in wire order, then n_tagged in tag order
    const uint16_t *min_bytes;       // the shortest encoding, by version - min
    uint16_t size;                   // sizeof the struct
    uint8_t n_plain, n_tagged;
    int16_t min, max;       // versions
    int16_t flexible_since; // INT16_MAX: never
};

struct wire_api {
    int16_t key;
    int16_t min, max;       // what the codec can do; what is advertised is the broker's choice
    int16_t flexible_since; // INT16_MAX: never
    const char *name;
    const struct wire_message *request, *response;
};

// In key order.
extern const struct wire_api wire_apis[];
extern const size_t wire_n_apis;
// All whole messages: headers, requests, responses, data.
extern const struct wire_message *const wire_messages[];
extern const size_t wire_n_messages;

// NULL for a key that is not in the schema.
const struct wire_api *wire_api(int key);

// --- one message ---

// The whole body must be used up. LEAT_EPROTO malformed, LEAT_EUNSUPPORTED version, LEAT_ENOMEM,
// LEAT_ELIMIT the arena's limit; after an error `out` is undefined and must not be read.
int wire_decode(const struct wire_message *m, int version, struct bytes body, struct arena *a,
                void *out, struct err *e) LEAT_CHECKED;
// Decodes from the front of `in` and leaves the rest there.
int wire_decode_front(const struct wire_message *m, int version, struct bytes *in, struct arena *a,
                      void *out, struct err *e) LEAT_CHECKED;

// Appends. On an error (LEAT_EINVAL null or too long, LEAT_EUNSUPPORTED version, or field in this
// version, LEAT_ENOMEM) `out` is as it was.
int wire_encode(const struct wire_message *m, int version, const void *in, struct buf *out,
                struct err *e) LEAT_CHECKED;

// Sets every field of one struct to its default.
void wire_defaults(const struct wire_message *m, void *out);

// n structs with defaults. Never NULL: use it for counts that our own code bounds.
void *wire_new(struct arena *a, const struct wire_message *m, size_t n) LEAT_CHECKED;
#define WIRE_NEW(arena, type, n) ((struct type *)wire_new(arena, &wire_##type, n))

// --- frames ---

// A request's header, and what is needed to answer it.
struct wire_request {
    const struct wire_api *api; // NULL: unknown key
    int16_t key, version;
    int32_t correlation_id;
    struct bytes client_id; // may be null; borrowed
    struct bytes body;      // after decoding
};

// LEAT_EUNSUPPORTED for an unknown key or version: then key, version and correlation_id are set,
// nothing else is (enough to answer ApiVersions in version 0 (KIP-511); otherwise the connection is
// to be closed).
int wire_request_decode(struct bytes frame, struct wire_request *out, struct err *e) LEAT_CHECKED;

// Places where records belong into an encoded response but were not copied, in order: the sender
// writes the buffer up to `pos`, then the records (or the file range that they stand for: they are
// not read), and so on.
struct wire_gap {
    size_t pos; // in the buffer
    struct bytes records;
};
struct wire_gaps {
    struct wire_gap *items;
    size_t n, max; // full: LEAT_ELIMIT
};

// Appends a whole frame: length, header, body. With `gaps`, records that are neither null nor empty
// are left out, noted there, and counted in the length.
int wire_response_encode(const struct wire_request *q, const void *body, struct wire_gaps *gaps,
                         struct buf *out, struct err *e) LEAT_CHECKED;

// The client's side: a whole request frame from api, version, correlation_id and client_id; and a
// response frame (without its length) to its body.
int wire_request_encode(const struct wire_request *q, const void *body, struct buf *out,
                        struct err *e) LEAT_CHECKED;
int wire_response_decode(const struct wire_request *q, struct bytes frame, struct bytes *body,
                         struct err *e) LEAT_CHECKED;

#endif
