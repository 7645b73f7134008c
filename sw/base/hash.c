/* SHA-256 as FIPS 180-4 section 6.2 defines it. Words are 32 bits and add modulo 2^32. */
#include "base/hash.h"

#include <string.h>

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t ror(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

static void schedule(const uint8_t block[64], uint32_t w[64]) {
  for (int t = 0; t < 16; t++)
    w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
  for (int t = 16; t < 64; t++) {
    uint32_t s0 = ror(w[t - 15], 7) ^ ror(w[t - 15], 18) ^ (w[t - 15] >> 3);
    uint32_t s1 = ror(w[t - 2], 17) ^ ror(w[t - 2], 19) ^ (w[t - 2] >> 10);
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
}

static void compress(uint32_t state[8], const uint8_t block[64]) {
  uint32_t w[64], v[8]; /* v = a..h */
  schedule(block, w);
  memcpy(v, state, sizeof v);
  for (int t = 0; t < 64; t++) {
    uint32_t choose = (v[4] & v[5]) ^ (~v[4] & v[6]);
    uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    uint32_t t1 = v[7] + (ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25)) + choose + K[t] + w[t];
    uint32_t t2 = (ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22)) + majority;
    memmove(v + 1, v, 7 * sizeof v[0]);
    v[4] += t1;
    v[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += v[i];
}

void espl_hash_init(espl_hash *h) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memset(h, 0, sizeof *h);
  memcpy(h->state, start, sizeof start);
}

void espl_hash_update(espl_hash *h, const void *data, size_t n) {
  const uint8_t *p = data;
  size_t have = h->n_bytes % 64;
  h->n_bytes += n;
  while (n) {
    size_t take = 64 - have < n ? 64 - have : n;
    if (take == 64) {
      compress(h->state, p);
    } else {
      memcpy(h->block + have, p, take);
      if (have + take == 64) compress(h->state, h->block);
    }
    have = (have + take) % 64;
    p += take;
    n -= take;
  }
}

void espl_hash_u64(espl_hash *h, uint64_t v) {
  uint8_t b[8];
  for (int i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (8 * i));
  espl_hash_update(h, b, sizeof b);
}

void espl_hash_string(espl_hash *h, const char *s) {
  size_t n = s ? strlen(s) : 0;
  espl_hash_u64(h, s ? n : UINT64_MAX);
  if (n) espl_hash_update(h, s, n);
}

void espl_hash_final(espl_hash *h, uint8_t digest[ESPL_HASH_BYTES]) {
  static const uint8_t pad[64] = {0x80};
  uint64_t bits = h->n_bytes * 8;
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
  espl_hash_update(h, pad, 1 + (119 - h->n_bytes % 64) % 64);
  espl_hash_update(h, length, 8);
  for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

void espl_hash_final_hex(espl_hash *h, char hex[ESPL_HASH_HEX]) {
  uint8_t d[ESPL_HASH_BYTES];
  espl_hash_final(h, d);
  for (int i = 0; i < ESPL_HASH_BYTES; i++) {
    hex[2 * i] = "0123456789abcdef"[d[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[d[i] & 15];
  }
  hex[64] = 0;
}

void espl_hash_bytes_hex(const void *data, size_t n, char hex[ESPL_HASH_HEX]) {
  espl_hash h;
  espl_hash_init(&h);
  espl_hash_update(&h, data, n);
  espl_hash_final_hex(&h, hex);
}
