/* SHA-256 against the vectors of FIPS 180 (one block, two blocks, a million 'a') and the empty message. */
#include <criterion/criterion.h>

#include <string.h>

#include "base/hash.h"

static void expect(const char *text, const char *want) {
  char hex[ESPL_HASH_HEX];
  espl_hash_bytes_hex(text, strlen(text), hex);
  cr_expect_str_eq(hex, want);
}

Test(hash, fips_vectors) {
  expect("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(hash, million_a_in_uneven_pieces) {
  char chunk[1000], hex[ESPL_HASH_HEX];
  memset(chunk, 'a', sizeof chunk);
  espl_hash h;
  espl_hash_init(&h);
  for (size_t left = 1000000, n = 1; left; left -= n) {
    n = n % 997 + 1;
    if (n > left) n = left;
    espl_hash_update(&h, chunk, n);
  }
  espl_hash_final_hex(&h, hex);
  cr_expect_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(hash, every_length_around_a_block_agrees_with_bytewise_updates) {
  char data[200], one[ESPL_HASH_HEX], other[ESPL_HASH_HEX];
  for (int i = 0; i < 200; i++) data[i] = (char)(i * 37);
  for (size_t n = 0; n <= 200; n++) {
    espl_hash h;
    espl_hash_init(&h);
    for (size_t i = 0; i < n; i++) espl_hash_update(&h, data + i, 1);
    espl_hash_final_hex(&h, one);
    espl_hash_bytes_hex(data, n, other);
    cr_assert_str_eq(one, other);
  }
}

static void pair(const char *a, const char *b, char hex[ESPL_HASH_HEX]) {
  espl_hash h;
  espl_hash_init(&h);
  espl_hash_string(&h, a);
  espl_hash_string(&h, b);
  espl_hash_final_hex(&h, hex);
}

Test(hash, strings_keep_their_borders) {
  char x[ESPL_HASH_HEX], y[ESPL_HASH_HEX], z[ESPL_HASH_HEX];
  pair("ab", "c", x);
  pair("a", "bc", y);
  cr_expect_str_neq(x, y);
  pair("", "c", x);
  pair(NULL, "c", z);
  cr_expect_str_neq(x, z);
}
