/* Memory module: see memory.h. */
#include "memory.h"

namespace espl {

memory::memory(sc_module_name name, core_signals &wires, const cycle_counter &cycle) : sc_module(name), w_(wires), cycle_(cycle) {
  SC_METHOD(tick);
  sensitive << w_.clk_i.negedge_event();
  dont_initialize();
}

void memory::connect(uint8_t *bytes, uint32_t size, const espl_mem_timing &timing) {
  bytes_ = bytes;
  size_ = size;
  timing_ = timing;
  w_.mem_rd_req_ready_i.write(true);
  w_.mem_wr_req_ready_i.write(true);
}

void memory::reset_timing(int64_t now) { espl_memtime_reset(&time_, &timing_, now); }

void memory::tick() {
  int64_t now = cycle_.now();
  if (now <= 0) return; /* the core does not run yet */
  if (!started_) {
    reset_timing(0);
    started_ = true;
  }
  read_beat(now);
  write_beat(now);
  write_response(now);
  if (w_.mem_reset_o.read()) {
    for (int i = 0; i < ESPL_CNT_COUNT; i++) {
      uint32_t v = 0;
      if (last_write_addr_ + 4u * static_cast<uint64_t>(i) + 4u <= size_) std::memcpy(&v, bytes_ + last_write_addr_ + 4 * i, 4);
      records_.push_back(v);
    }
    reset_timing(now);
  }
  accept(now);
}

memory::burst memory::accept_on(int channel, int64_t now, uint32_t addr, uint32_t beats) {
  burst b;
  b.addr = addr & ~static_cast<uint32_t>(kBusBytes - 1);
  b.bad = b.addr + static_cast<uint64_t>(beats) * kBusBytes > size_;
  espl_memtime_accept(&time_, channel, now, static_cast<int32_t>(beats), &b.time);
  return b;
}

void memory::accept(int64_t now) {
  if (w_.mem_rd_req_valid_o.read())
    reads_.push_back(accept_on(ESPL_READ, now, w_.mem_rd_req_addr_o.read(), w_.mem_rd_req_beats_o.read()));
  if (w_.mem_wr_req_valid_o.read())
    writes_.push_back(accept_on(ESPL_WRITE, now, w_.mem_wr_req_addr_o.read(), w_.mem_wr_req_beats_o.read()));
}

void memory::read_beat(int64_t now) {
  bool due = !reads_.empty() && espl_beat_time(&reads_.front().time, reads_.front().next) == now;
  w_.mem_rd_valid_i.write(due);
  if (!due) return;
  burst &b = reads_.front();
  uint8_t beat[kBusBytes] = {0};
  if (!b.bad) std::memcpy(beat, bytes_ + b.addr + static_cast<uint64_t>(b.next) * kBusBytes, kBusBytes);
  data_word word;
  word_from_bytes(beat, word);
  w_.mem_rd_data_i.write(word);
  w_.mem_rd_err_i.write(b.bad);
  bool last = ++b.next == b.time.beats;
  w_.mem_rd_last_i.write(last);
  if (last) reads_.pop_front();
}

void memory::write_beat(int64_t now) {
  bool due = !writes_.empty() && espl_beat_time(&writes_.front().time, writes_.front().next) == now;
  w_.mem_wr_take_i.write(due);
  if (!due) return;
  burst &b = writes_.front();
  uint8_t beat[kBusBytes];
  word_to_bytes(w_.mem_wr_data_o.read(), beat);
  uint32_t strobe = static_cast<uint32_t>(w_.mem_wr_strb_o.read());
  uint64_t at = b.addr + static_cast<uint64_t>(b.next) * kBusBytes;
  for (int i = 0; i < kBusBytes && !b.bad; i++)
    if (strobe >> i & 1u) bytes_[at + static_cast<uint64_t>(i)] = beat[i];
  if (++b.next < b.time.beats) return;
  responses_.push_back({b.time.resp, b.bad});
  last_write_addr_ = b.addr;
  writes_.pop_front();
}

void memory::write_response(int64_t now) {
  bool due = !responses_.empty() && responses_.front().at == now;
  w_.mem_wr_rsp_valid_i.write(due);
  if (!due) return;
  w_.mem_wr_rsp_err_i.write(responses_.front().bad);
  responses_.pop_front();
}

}  // namespace espl
