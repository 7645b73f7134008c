hw/synth/espl_synth.sv
rtl/board/espl_sp_ram.sv
rtl/board/espl_board_burst.sv
rtl/board/espl_board_mem.sv
rtl/board/espl_uart.sv
rtl/board/espl_bridge.sv
rtl/board/espl_board.sv
rtl/board/espl_por.sv
