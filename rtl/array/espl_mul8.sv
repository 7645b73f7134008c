// Signed 8x8 product as a chain of eight rows, each one adder of nine bits with its carry: on parts without multipliers that is two thirds
// of the logic which a compressor tree takes. Combinational.
module espl_mul8 (
  input  logic [7:0]  a_i,
  input  logic [7:0]  w_i,
  output logic [15:0] p_o
);

  // After row k: sum_k * 2^k plus the product bits below k. The last row has the weight's sign and is subtracted.
  for (genvar k = 0; k < 8; k++) begin : gen_row
    logic signed [8:0] term;
    logic signed [9:0] sum;
    assign term = w_i[k] ? {a_i[7], a_i} : 9'sd0;
    if (k == 0) begin : gen_first
      assign sum = 10'(term);
    end else if (k < 7) begin : gen_add
      assign sum = 10'($signed(gen_row[k-1].sum[9:1])) + 10'(term);
    end else begin : gen_sign
      assign sum = 10'($signed(gen_row[k-1].sum[9:1])) - 10'(term);
    end
    assign p_o[k] = sum[0];
  end
  assign p_o[15:8] = gen_row[7].sum[8:1];
  logic unused_sign;
  assign unused_sign = gen_row[7].sum[9];  // the product has 16 bits

endmodule
