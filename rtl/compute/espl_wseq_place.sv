// Where the pass of a tile begins: input row and column of its first pixel, word address, steps. Sums of products, one after the other.
// Timing: inputs with take_i in cycle c; outputs hold from c + Rows/2 + 1 on (c + 5 with more than eight rows), the first cycle in which the pass's start
// can be decided. From eight rows on each product and each sum has a cycle of its own; steps that a small array has no cycle for are wires.
// take_i comes late in its cycle: with eight rows and more the inputs are copied in every cycle and kept one later. With Early ky_i and kx_i stand still for a
// cycle before take_i, and with fewer than eight rows their products with the dilation are registers by then.
// Configuration (row_words_i .. whole_i) and out_w_i stand still from c + 1 on until the start.
module espl_wseq_place #(
  parameter int Rows = 4,
  parameter int DwBanks = 0,
  parameter int DimBits = 12,
  parameter int Early = 0,
  parameter int PosW = 17      // bits of an input row or column, with sign
) (
  input  logic               clk_i,
  input  logic               take_i,
  input  logic [7:0]         ky_i,
  input  logic [7:0]         kx_i,
  input  logic [15:0]        block_i,      // channel block of a sparse entry, else 0
  input  logic [15:0]        plane_i,      // word address of the channel block
  input  logic [DimBits-1:0] off_y_i,
  input  logic [DimBits-1:0] off_x_i,
  input  logic [DimBits-1:0] row_words_i,
  input  logic [15:0]        plane_words_i,
  input  logic [2:0]         sy_i,
  input  logic [2:0]         sx_i,
  input  logic [3:0]         dy_i,
  input  logic [3:0]         dx_i,
  input  logic [3:0]         dw_cols_i,
  input  logic               whole_i,      // the column is not in addr_o
  input  logic [DimBits-1:0] out_w_i,      // of the tile
  output logic [PosW-1:0]    iy_o,
  output logic [PosW-1:0]    ix_o,
  output logic [15:0]        addr_o,
  output logic [15:0]        row_step_o,   // words between output rows
  output logic [14:0]        dw_len_o,     // depthwise: words of an output row
  output logic [15:0]        dw_step_o     // and between kernel rows
);

  localparam int Near = (Rows < 8) ? 1 : 0;
  localparam int InW = 48 + 2 * DimBits;

  logic [7:0]         ky, kx;
  logic [15:0]        block, plane_d, plane, far, base_q;
  logic [DimBits-1:0] off_y_d, off_x_d, off_y, off_x;
  logic [PosW-1:0]    down_d, right_d, down, right;
  espl_hold #(
    .Width  (InW),
    .Through(Near)
  ) u_in (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i({ky_i, kx_i, block_i, plane_i, off_y_i, off_x_i}),
    .data_o({ky, kx, block, plane_d, off_y_d, off_x_d})
  );
  logic taken_q;
  always_ff @(posedge clk_i) taken_q <= take_i;
  espl_hold #(
    .Width  (2 * PosW),
    .Through((Early != 0 && Near != 0) ? 0 : 1)
  ) u_early (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i({PosW'(ky) * PosW'(dy_i), PosW'(kx) * PosW'(dx_i)}),
    .data_o({down_d, right_d})
  );
  espl_hold #(
    .Width  (32 + 2 * DimBits + 2 * PosW),
    .Through(Near)
  ) u_product (
    .clk_i (clk_i),
    .we_i  (taken_q),
    .data_i({plane_d, off_y_d, off_x_d, 16'(block * plane_words_i), down_d, right_d}),
    .data_o({plane, off_y, off_x, far, down, right})
  );
  always_ff @(posedge clk_i) begin
    if (take_i || Near == 0) begin
      iy_o   <= down + PosW'($signed(off_y));
      ix_o   <= right + PosW'($signed(off_x));
      base_q <= plane + far;
    end
    row_step_o <= {13'd0, sy_i} * 16'(row_words_i);
  end

  // The address: with four rows or more its product has a cycle of its own.
  logic [15:0] across;
  assign across    = base_q + (whole_i ? 16'd0 : 16'($signed(ix_o)));
  if (Near != 0 && Rows >= 4) begin : gen_halves
    // A small array has one cycle for the product: its halves, added with the rest.
    localparam int Half = DimBits / 2;
    logic [15:0] down0_q, down1_q, across_q;
    always_ff @(posedge clk_i) begin
      down0_q  <= 16'($signed(iy_o)) * 16'(row_words_i[Half-1:0]);
      down1_q  <= 16'($signed(iy_o)) * 16'(row_words_i[DimBits-1:Half]);
      across_q <= across;
      addr_o   <= across_q + down0_q + (down1_q << Half);
    end
  end else if (Rows >= 4) begin : gen_two_steps
    logic [15:0] rows_down_q, across_q;
    always_ff @(posedge clk_i) begin
      rows_down_q <= 16'($signed(iy_o)) * 16'(row_words_i);
      across_q    <= across;
      addr_o      <= across_q + rows_down_q;
    end
  end else begin : gen_one_step
    always_ff @(posedge clk_i) addr_o <= across + 16'($signed(iy_o)) * 16'(row_words_i);
  end

  if (DwBanks > 0) begin : gen_dw
    logic [14:0] stretch;
    espl_hold #(
      .Width  (15),
      .Through(Near)
    ) u_stretch (
      .clk_i (clk_i),
      .we_i  (1'b1),
      .data_i((15'(out_w_i) - 15'd1) * {12'd0, sx_i}),
      .data_o(stretch)
    );
    always_ff @(posedge clk_i) begin
      dw_len_o  <= stretch + {11'd0, dw_cols_i} + 15'd1;
      dw_step_o <= {12'd0, dy_i} * 16'(row_words_i);
    end
  end else begin : gen_no_dw
    assign dw_len_o  = 15'd0;
    assign dw_step_o = 16'd0;
    logic unused_dw;
    assign unused_dw = ^{sx_i, dw_cols_i, out_w_i};
  end

endmodule
