/* Content hashes: SHA-256 (FIPS 180-4). Used as identity of networks, machines, layers and runs. */
#ifndef ESPL_BASE_HASH_H
#define ESPL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESPL_HASH_BYTES 32
#define ESPL_HASH_HEX 65 /* 64 digits and the terminating 0 */

typedef struct espl_hash {
  uint32_t state[8];
  uint64_t n_bytes;
  uint8_t block[64];
} espl_hash;

void espl_hash_init(espl_hash *h);
void espl_hash_update(espl_hash *h, const void *data, size_t n);
/* Length-prefixed, so that ("ab","c") and ("a","bc") differ. NULL counts as a value of its own. */
void espl_hash_string(espl_hash *h, const char *s);
void espl_hash_u64(espl_hash *h, uint64_t v); /* little-endian, whatever the host */
void espl_hash_final(espl_hash *h, uint8_t digest[ESPL_HASH_BYTES]);
void espl_hash_final_hex(espl_hash *h, char hex[ESPL_HASH_HEX]);
void espl_hash_bytes_hex(const void *data, size_t n, char hex[ESPL_HASH_HEX]); /* of one buffer */

#ifdef __cplusplus
}
#endif
#endif
