// Signed product of 8 and WBits bits as a chain of a row for each weight bit, each one adder of nine bits with its carry: on parts without multipliers that is two thirds
// of the logic which a compressor tree takes. Combinational.
module espl_mul8 #(
  parameter int WBits = 8
) (
  input  logic [7:0]  a_i,
  input  logic [WBits-1:0] w_i,
  output logic [7+WBits:0] p_o
);

  // After row k: sum_k * 2^k plus the product bits below k. The last row has the weight's sign and is subtracted.
  for (genvar k = 0; k < WBits; k++) begin : gen_row
    logic signed [8:0] term;
    logic signed [9:0] sum;
    assign term = w_i[k] ? {a_i[7], a_i} : 9'sd0;
    if (k == 0) begin : gen_first
      assign sum = 10'(term);
    end else if (k < WBits - 1) begin : gen_add
      assign sum = 10'($signed(gen_row[k-1].sum[9:1])) + 10'(term);
    end else begin : gen_sign
      assign sum = 10'($signed(gen_row[k-1].sum[9:1])) - 10'(term);
    end
    assign p_o[k] = sum[0];
  end
  assign p_o[7+WBits:WBits] = gen_row[WBits-1].sum[8:1];
  logic unused_sign;
  assign unused_sign = gen_row[WBits-1].sum[9];  // the product has 8 + WBits bits

endmodule
