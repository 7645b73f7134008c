/* The memory behind the core's native port, free of SystemC: bytes, and the times of sim/timing/memtime.h.
 *
 * A request is accepted in the cycle in which it is shown (both ready wires stay high); from then on all its beat times are known.
 * A burst that leaves memory gives zero beats with the error mark, or drops its beats and answers with an error.
 * Port: the wires, as a class with get_NAME() for outputs of the core, set_NAME(v) for its inputs, get_wr_data(bytes), set_rd_data(bytes). */
#ifndef ESPL_PLATFORM_MEMORY_ENGINE_H
#define ESPL_PLATFORM_MEMORY_ENGINE_H

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "device/rtl_job.h"
#include "timing/memtime.h"

namespace espl {

template <class Port, int BusBytes> class memory_engine {
 public:
  explicit memory_engine(Port port) : port_(port) {}

  /* bytes and log are borrowed; log: room for log_cap accepted bursts. Call before the simulation starts. */
  void connect(uint8_t *bytes, uint32_t size, const espl_mem_timing &timing, espl_bus_event *log, uint32_t log_cap) {
    bytes_ = bytes;
    size_ = size;
    timing_ = timing;
    log_ = log;
    log_cap_ = log_cap;
  }
  /* The middle of cycle `now` (1 is the first after the start write). */
  void tick(int64_t now) {
    if (!started_) {
      espl_memtime_reset(&time_, &timing_, 0);
      started_ = true;
    }
    read_beat(now);
    write_beat(now);
    write_response(now);
    if (port_.get_reset()) {
      if (begun_) take_record();
      begun_ = true;
      espl_memtime_reset(&time_, &timing_, now);
    }
    if (port_.get_rd_req_valid()) reads_.push_back(accept(ESPL_READ, now, port_.get_rd_req_addr(), port_.get_rd_req_beats()));
    if (port_.get_wr_req_valid()) writes_.push_back(accept(ESPL_WRITE, now, port_.get_wr_req_addr(), port_.get_wr_req_beats()));
  }
  /* The 16 counters of every MARK so far, in order: taken from its record at the pulse of mem_reset (the first pulse is the start's). */
  const std::vector<uint32_t> &records() const { return records_; }
  uint32_t logged() const { return logged_; } /* bursts accepted, those without room in the log included */

 private:
  struct burst {
    uint64_t addr;
    bool bad;
    int32_t next = 0; /* beat that comes next */
    espl_burst_time time;
  };
  struct response {
    int64_t at;
    bool bad;
  };

  void take_record() {
    for (uint64_t i = 0; i < ESPL_CNT_COUNT; i++) {
      uint32_t v = 0;
      if (last_write_addr_ + 4u * i + 4u <= size_) std::memcpy(&v, bytes_ + last_write_addr_ + 4u * i, 4);
      records_.push_back(v);
    }
  }
  burst accept(int channel, int64_t now, uint32_t addr, uint32_t beats) {
    burst b;
    b.addr = addr & ~static_cast<uint32_t>(BusBytes - 1);
    b.bad = b.addr + static_cast<uint64_t>(beats) * BusBytes > size_;
    espl_memtime_accept(&time_, channel, now, addr, static_cast<int32_t>(beats), &b.time);
    if (logged_++ < log_cap_) log_[logged_ - 1] = {static_cast<uint64_t>(now), addr, static_cast<uint16_t>(beats), static_cast<uint8_t>(channel), ESPL_BUS_UNIT_UNKNOWN};
    return b;
  }
  void read_beat(int64_t now) {
    bool due = !reads_.empty() && espl_beat_time(&reads_.front().time, reads_.front().next) == now;
    port_.set_rd_valid(due);
    if (!due) return;
    burst &b = reads_.front();
    uint8_t beat[BusBytes] = {0};
    if (!b.bad) std::memcpy(beat, bytes_ + b.addr + static_cast<uint64_t>(b.next) * BusBytes, BusBytes);
    port_.set_rd_data(beat);
    port_.set_rd_err(b.bad);
    bool last = ++b.next == b.time.beats;
    port_.set_rd_last(last);
    if (last) reads_.pop_front();
  }
  void write_beat(int64_t now) {
    bool due = !writes_.empty() && espl_beat_time(&writes_.front().time, writes_.front().next) == now;
    port_.set_wr_take(due);
    if (!due) return;
    burst &b = writes_.front();
    uint8_t beat[BusBytes];
    port_.get_wr_data(beat);
    uint32_t strobe = port_.get_wr_strb();
    uint64_t at = b.addr + static_cast<uint64_t>(b.next) * BusBytes;
    for (int i = 0; i < BusBytes && !b.bad; i++)
      if (strobe >> i & 1u) bytes_[at + static_cast<uint64_t>(i)] = beat[i];
    if (++b.next < b.time.beats) return;
    responses_.push_back({b.time.resp, b.bad});
    last_write_addr_ = b.addr;
    writes_.pop_front();
  }
  void write_response(int64_t now) {
    bool due = !responses_.empty() && responses_.front().at == now;
    port_.set_wr_rsp_valid(due);
    if (!due) return;
    port_.set_wr_rsp_err(responses_.front().bad);
    responses_.pop_front();
  }

  Port port_;
  uint8_t *bytes_ = nullptr;
  uint32_t size_ = 0;
  espl_mem_timing timing_{};
  espl_memtime time_{};
  bool started_ = false, begun_ = false;
  std::deque<burst> reads_, writes_;
  std::deque<response> responses_;
  uint64_t last_write_addr_ = 0; /* of the last burst that was written completely: at mem_reset that is the record */
  std::vector<uint32_t> records_;
  espl_bus_event *log_ = nullptr;
  uint32_t log_cap_ = 0, logged_ = 0;
};

}  // namespace espl
#endif
