/* espl_board_sim: a whole board (rtl/board/espl_board.sv, Verilated) behind a pseudo-terminal, as a real one is behind a serial adapter.
 *
 * Prints the terminal's name as its first line, then runs until its standard input ends. Bytes of the terminal go to the board bit by
 * bit (P_ClkDiv cycles a bit) and back. While nothing has happened on the line for long the simulation stands still until a byte comes.
 * Faults for tests, counted in bytes that the host sends (n from 1): --flip N inverts a bit of every N-th, --drop N swallows every N-th,
 * --mute N ends all answers after N, --unplug N closes the terminal after N. */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "Vespl_board.h"

namespace {

constexpr int kAwakeCycles = 400000; /* after the last byte; longer than the board's gap */

struct faults { uint64_t flip = 0, drop = 0, mute = 0, unplug = 0; };

/* The host's side of the line: one bit every P_ClkDiv cycles out, edges sampled in the middle in. */
class line {
 public:
  std::deque<uint8_t> to_board, from_board;
  /* One cycle: the level to drive, from the level seen. */
  bool step(bool seen) {
    receive(seen);
    if (tx_left_ == 0) {
      if (tx_bit_ < 0 && !to_board.empty()) {
        tx_bit_ = 0;
        tx_byte_ = to_board.front();
        to_board.pop_front();
      } else if (tx_bit_ >= 0 && ++tx_bit_ == 10) {
        tx_bit_ = -1;
      }
      tx_left_ = tx_bit_ < 0 ? 1 : P_ClkDiv;
    }
    tx_left_--;
    return tx_bit_ < 0 || tx_bit_ == 9 || (tx_bit_ > 0 && (tx_byte_ >> (tx_bit_ - 1) & 1));
  }
  bool busy() const { return tx_bit_ >= 0 || rx_bit_ >= 0 || !to_board.empty(); }

 private:
  void receive(bool seen) {
    if (rx_bit_ < 0) {
      if (seen) return;
      rx_bit_ = 0;
      rx_wait_ = P_ClkDiv + P_ClkDiv / 2;
    }
    if (--rx_wait_ > 0) return;
    rx_wait_ = P_ClkDiv;
    if (rx_bit_ < 8) rx_byte_ = static_cast<uint8_t>(rx_byte_ >> 1 | (seen ? 128 : 0));
    else from_board.push_back(rx_byte_);
    rx_bit_ = rx_bit_ == 8 ? -1 : rx_bit_ + 1;
  }
  int tx_bit_ = -1, tx_left_ = 0, rx_bit_ = -1, rx_wait_ = 0;
  uint8_t tx_byte_ = 0, rx_byte_ = 0;
};

/* A pseudo-terminal; its own side of the slave stays open, so that hosts may come and go. */
struct terminal {
  int master = -1, slave = -1;
  bool open() {
    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return false;
    const char *name = ptsname(master);
    slave = name ? ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    struct termios t;
    if (slave < 0 || tcgetattr(slave, &t) != 0) return false;
    cfmakeraw(&t);
    if (tcsetattr(slave, TCSANOW, &t) != 0 || fcntl(master, F_SETFL, O_NONBLOCK) != 0) return false;
    std::printf("%s\n", name);
    std::fflush(stdout);
    return true;
  }
};

class simulation {
 public:
  simulation(terminal &t, const faults &f) : terminal_(t), faults_(f) {}
  void run() {
    board_.uart_rx_i = 1;
    board_.rst_i = 1;
    for (int i = 0; i < 8; i++) cycle();
    board_.rst_i = 0;
    while (exchange()) {
      for (int i = 0; i < 500; i++) cycle();
    }
  }

 private:
  /* The board's output comes from a register and its input goes to one: no settling is needed between them. */
  void cycle() {
    board_.uart_rx_i = line_.step(board_.uart_tx_o);
    board_.clk_i = 1;
    board_.eval();
    board_.clk_i = 0;
    board_.eval();
    awake_ = line_.busy() ? kAwakeCycles : awake_ - 1;
  }
  /* Bytes between terminal and line; false when the simulation is to end. */
  bool exchange() {
    while (!line_.from_board.empty()) {
      uint8_t b = line_.from_board.front();
      if (!(faults_.mute && sent_ >= faults_.mute) && write(terminal_.master, &b, 1) != 1) break;
      line_.from_board.pop_front();
    }
    struct pollfd p[2] = {{STDIN_FILENO, POLLIN, 0}, {terminal_.master, POLLIN, 0}};
    if (poll(p, 2, awake_ > 0 ? 0 : -1) < 0) return false;
    char word[64];
    if (p[0].revents && read(STDIN_FILENO, word, sizeof word) <= 0) return false;
    uint8_t block[512];
    ssize_t n = p[1].revents & POLLIN ? read(terminal_.master, block, sizeof block) : 0;
    for (ssize_t i = 0; i < n; i++)
      if (!take(block[i])) return false;
    return true;
  }
  bool take(uint8_t b) {
    sent_++;
    awake_ = kAwakeCycles;
    if (faults_.unplug && sent_ >= faults_.unplug) return false;
    if (faults_.drop && sent_ % faults_.drop == 0) return true;
    if (faults_.flip && sent_ % faults_.flip == 0) b ^= 0x10;
    line_.to_board.push_back(b);
    return true;
  }

  terminal &terminal_;
  faults faults_;
  line line_;
  Vespl_board board_;
  uint64_t sent_ = 0;
  int64_t awake_ = kAwakeCycles;
};

bool parse(int argc, char **argv, faults *f) {
  const struct { const char *name; uint64_t *value; } options[] = {{"--flip", &f->flip}, {"--drop", &f->drop}, {"--mute", &f->mute}, {"--unplug", &f->unplug}};
  for (int i = 1; i < argc; i += 2) {
    bool known = false;
    for (const auto &o : options)
      if (i + 1 < argc && std::strcmp(argv[i], o.name) == 0) {
        *o.value = std::strtoull(argv[i + 1], nullptr, 10);
        known = true;
      }
    if (!known) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char **argv) {
  faults f;
  terminal t;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (!parse(argc, argv, &f)) {
    std::fprintf(stderr, "usage: espl_board_sim [--flip N] [--drop N] [--mute N] [--unplug N]\n");
    return 2;
  }
  if (!t.open()) {
    std::perror("espl_board_sim: pseudo-terminal");
    return 1;
  }
  auto s = std::make_unique<simulation>(t, f);
  s->run();
  return 0;
}
