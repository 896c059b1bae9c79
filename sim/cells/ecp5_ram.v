// DP16KD of the ECP5: 18,432 bits of block RAM with two ports.
//
// FPGA-TN-02204. A port is 1, 2, 4, 9 or 18 bits wide; it reads and, where WE is high, writes at
// the rising clock if CE is high and CS is what CSDECODE says. Its outputs then show
//     NORMAL            what they showed before, if it writes
//     WRITETHROUGH      the new word
//     READBEFOREWRITE   the old one
// REGMODE "OUTREG" puts a register behind that, enabled by OCE. RST clears both: at the clock, CE
// or not, or at once (RESETMODE "ASYNC"); meanwhile nothing is written. At 18 bits ADx1..0 are
// enables of 9 bits each. At 36 bits port A only writes, DIB its upper half, ADA3..0 the enables,
// and port B only reads, DOB the upper half: the pseudo dual-port RAM.
//
// Bits 8 and 17 of an 18-bit word are out of reach of 1, 2 and 4 bit ports. INITVAL_xx holds 16
// words in 20 bits each. A word of which the other port is writing a bit comes out undefined: the
// model gives the complement of the old one, so that nothing can come to rely on it. Both ports
// writing into one word end the simulation.

`timescale 1ns / 1ps

// Where a port of some width finds its bits: `word` in 0..1023, `first` in 0..17, and which may be
// written.
module ecp5_ram_address (
    input [13:0] AD, output [9:0] word, output [4:0] first, output [35:0] enabled
);
  parameter WIDTH = 18;
  generate
    case (WIDTH)
      36: begin : w36
        assign word = {AD[13:5], 1'b0};
        assign first = 5'd0;
        assign enabled = {{9{AD[3]}}, {9{AD[2]}}, {9{AD[1]}}, {9{AD[0]}}};
      end
      18: begin : w18
        assign word = AD[13:4];
        assign first = 5'd0;
        assign enabled = {18'b0, {9{AD[1]}}, {9{AD[0]}}};
      end
      9: begin : w9
        assign word = AD[13:4];
        assign first = AD[3] ? 5'd9 : 5'd0;
        assign enabled = 36'h1ff;
      end
      4: begin : w4
        assign word = AD[13:4];
        assign first = (AD[3] ? 5'd9 : 5'd0) + {2'b0, AD[2], 2'b0};
        assign enabled = 36'hf;
      end
      2: begin : w2
        assign word = AD[13:4];
        assign first = (AD[3] ? 5'd9 : 5'd0) + {2'b0, AD[2:1], 1'b0};
        assign enabled = 36'h3;
      end
      1: begin : w1
        assign word = AD[13:4];
        assign first = (AD[3] ? 5'd9 : 5'd0) + {2'b0, AD[2:0]};
        assign enabled = 36'h1;
      end
      default: initial $fatal(1, "DP16KD: a port of no such width");
    endcase
  endgenerate
endmodule

// What a port shows: the latch behind the array, and the register behind that.
module ecp5_ram_output (
    input clock, input read, input enable, input reset, input [35:0] found, output [35:0] shown
);
  parameter REGMODE = "NOREG";
  parameter RESETMODE = "SYNC";
  reg [35:0] latch = 0, register = 0;
  generate
    if (RESETMODE == "ASYNC") begin : asynchronous
      always @(posedge clock or posedge reset)
        if (reset) begin
          latch <= 0;
          register <= 0;
        end else begin
          if (read) latch <= found;
          if (enable) register <= latch;
        end
    end else begin : synchronous
      always @(posedge clock)
        if (reset) begin
          latch <= 0;
          register <= 0;
        end else begin
          if (read) latch <= found;
          if (enable) register <= latch;
        end
    end
    if (REGMODE == "NOREG") assign shown = latch;
    else if (REGMODE == "OUTREG") assign shown = register;
    else initial $fatal(1, "DP16KD: REGMODE is not modelled");
  endgenerate
endmodule

module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9,
        DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5,
        ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9,
        DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5,
        ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9,
        DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9,
        DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18;
  parameter REGMODE_A = "NOREG";
  parameter WRITEMODE_A = "NORMAL";
  parameter CSDECODE_A = "0b000";
  parameter CLKAMUX = "CLKA";
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_B = "NOREG";
  parameter WRITEMODE_B = "NORMAL";
  parameter CSDECODE_B = "0b000";
  parameter CLKBMUX = "CLKB";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter GSR = "ENABLED";
  parameter WID = 0;
  parameter INIT_DATA = "STATIC";
  parameter [319:0] INITVAL_00 = 320'b0;
  parameter [319:0] INITVAL_01 = 320'b0;
  parameter [319:0] INITVAL_02 = 320'b0;
  parameter [319:0] INITVAL_03 = 320'b0;
  parameter [319:0] INITVAL_04 = 320'b0;
  parameter [319:0] INITVAL_05 = 320'b0;
  parameter [319:0] INITVAL_06 = 320'b0;
  parameter [319:0] INITVAL_07 = 320'b0;
  parameter [319:0] INITVAL_08 = 320'b0;
  parameter [319:0] INITVAL_09 = 320'b0;
  parameter [319:0] INITVAL_0A = 320'b0;
  parameter [319:0] INITVAL_0B = 320'b0;
  parameter [319:0] INITVAL_0C = 320'b0;
  parameter [319:0] INITVAL_0D = 320'b0;
  parameter [319:0] INITVAL_0E = 320'b0;
  parameter [319:0] INITVAL_0F = 320'b0;
  parameter [319:0] INITVAL_10 = 320'b0;
  parameter [319:0] INITVAL_11 = 320'b0;
  parameter [319:0] INITVAL_12 = 320'b0;
  parameter [319:0] INITVAL_13 = 320'b0;
  parameter [319:0] INITVAL_14 = 320'b0;
  parameter [319:0] INITVAL_15 = 320'b0;
  parameter [319:0] INITVAL_16 = 320'b0;
  parameter [319:0] INITVAL_17 = 320'b0;
  parameter [319:0] INITVAL_18 = 320'b0;
  parameter [319:0] INITVAL_19 = 320'b0;
  parameter [319:0] INITVAL_1A = 320'b0;
  parameter [319:0] INITVAL_1B = 320'b0;
  parameter [319:0] INITVAL_1C = 320'b0;
  parameter [319:0] INITVAL_1D = 320'b0;
  parameter [319:0] INITVAL_1E = 320'b0;
  parameter [319:0] INITVAL_1F = 320'b0;
  parameter [319:0] INITVAL_20 = 320'b0;
  parameter [319:0] INITVAL_21 = 320'b0;
  parameter [319:0] INITVAL_22 = 320'b0;
  parameter [319:0] INITVAL_23 = 320'b0;
  parameter [319:0] INITVAL_24 = 320'b0;
  parameter [319:0] INITVAL_25 = 320'b0;
  parameter [319:0] INITVAL_26 = 320'b0;
  parameter [319:0] INITVAL_27 = 320'b0;
  parameter [319:0] INITVAL_28 = 320'b0;
  parameter [319:0] INITVAL_29 = 320'b0;
  parameter [319:0] INITVAL_2A = 320'b0;
  parameter [319:0] INITVAL_2B = 320'b0;
  parameter [319:0] INITVAL_2C = 320'b0;
  parameter [319:0] INITVAL_2D = 320'b0;
  parameter [319:0] INITVAL_2E = 320'b0;
  parameter [319:0] INITVAL_2F = 320'b0;
  parameter [319:0] INITVAL_30 = 320'b0;
  parameter [319:0] INITVAL_31 = 320'b0;
  parameter [319:0] INITVAL_32 = 320'b0;
  parameter [319:0] INITVAL_33 = 320'b0;
  parameter [319:0] INITVAL_34 = 320'b0;
  parameter [319:0] INITVAL_35 = 320'b0;
  parameter [319:0] INITVAL_36 = 320'b0;
  parameter [319:0] INITVAL_37 = 320'b0;
  parameter [319:0] INITVAL_38 = 320'b0;
  parameter [319:0] INITVAL_39 = 320'b0;
  parameter [319:0] INITVAL_3A = 320'b0;
  parameter [319:0] INITVAL_3B = 320'b0;
  parameter [319:0] INITVAL_3C = 320'b0;
  parameter [319:0] INITVAL_3D = 320'b0;
  parameter [319:0] INITVAL_3E = 320'b0;
  parameter [319:0] INITVAL_3F = 320'b0;

  wire [13:0] ad_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3,
      ADA2, ADA1, ADA0};
  wire [13:0] ad_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3,
      ADB2, ADB1, ADB0};
  wire [17:0] di_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7,
      DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] di_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7,
      DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire [9:0] word_a, word_b;
  wire [4:0] first_a, first_b;
  wire [35:0] enabled_a, enabled_b, do_a, do_b;
  ecp5_ram_address #(.WIDTH(DATA_WIDTH_A)) address_a (
      .AD(ad_a), .word(word_a), .first(first_a), .enabled(enabled_a));
  ecp5_ram_address #(.WIDTH(DATA_WIDTH_B)) address_b (
      .AD(ad_b), .word(word_b), .first(first_b), .enabled(enabled_b));

  // CSDECODE is text, "0b" and three digits; the last is in its low byte.
  wire selected_a = CSA0 == CSDECODE_A[0] && CSA1 == CSDECODE_A[8] && CSA2 == CSDECODE_A[16];
  wire selected_b = CSB0 == CSDECODE_B[0] && CSB1 == CSDECODE_B[8] && CSB2 == CSDECODE_B[16];
  wire active_a = CEA && selected_a, active_b = CEB && selected_b;
  wire write_a = active_a && WEA && !RSTA;
  wire write_b = active_b && WEB && !RSTB && DATA_WIDTH_B != 36;

  reg [17:0] words[0:1023];
  wire [35:0] old_a = {DATA_WIDTH_A == 36 ? words[word_a | 10'd1] : 18'b0, words[word_a]};
  wire [35:0] old_b = {DATA_WIDTH_B == 36 ? words[word_b | 10'd1] : 18'b0, words[word_b]};
  wire [35:0] mask_a = enabled_a << first_a, mask_b = enabled_b << first_b;
  wire [35:0] given_a = DATA_WIDTH_A == 36 ? {di_b, di_a} : {18'b0, di_a} << first_a;
  wire [35:0] new_a = given_a & mask_a | old_a & ~mask_a;
  wire [35:0] new_b = ({18'b0, di_b} << first_b) & mask_b | old_b & ~mask_b;

  always @(posedge CLKA) begin
    if (write_a) words[word_a] <= new_a[17:0];
    if (write_a && DATA_WIDTH_A == 36) words[word_a | 10'd1] <= new_a[35:18];
  end
  always @(posedge CLKB) if (write_b) words[word_b] <= new_b[17:0];
  always @(posedge CLKA)
    if (write_a && write_b && word_a == word_b) $fatal(1, "DP16KD: both ports write one word");

  wire [35:0] seen_a = DATA_WIDTH_A >= 18 ? 36'hfffffffff >> 36 - DATA_WIDTH_A : enabled_a;
  wire [35:0] seen_b = DATA_WIDTH_B >= 18 ? 36'hfffffffff >> 36 - DATA_WIDTH_B : enabled_b;

  // Bits as they lie in a pair of words, to tell whether one port writes what the other one reads.
  wire [35:0] reads_a = seen_a << first_a << (word_a[0] ? 18 : 0);
  wire [35:0] reads_b = seen_b << first_b << (word_b[0] ? 18 : 0);
  wire [35:0] writes_a = mask_a << (word_a[0] ? 18 : 0), writes_b = mask_b << (word_b[0] ? 18 : 0);
  wire same = word_a[9:1] == word_b[9:1];
  wire clash_a = same && write_b && |(reads_a & writes_b);
  wire clash_b = same && write_a && |(reads_b & writes_a);
  wire [35:0] found_a = clash_a ? ~old_a : WEA && WRITEMODE_A == "WRITETHROUGH" ? new_a : old_a;
  wire [35:0] found_b = clash_b ? ~old_b : WEB && WRITEMODE_B == "WRITETHROUGH" ? new_b : old_b;
  wire read_a = active_a && !(WEA && WRITEMODE_A == "NORMAL");
  wire read_b = active_b && !(WEB && WRITEMODE_B == "NORMAL");

  ecp5_ram_output #(.REGMODE(REGMODE_A), .RESETMODE(RESETMODE)) output_a (
      .clock(CLKA), .read(read_a), .enable(OCEA), .reset(RSTA),
      .found(found_a >> first_a & seen_a), .shown(do_a));
  ecp5_ram_output #(.REGMODE(REGMODE_B), .RESETMODE(RESETMODE)) output_b (
      .clock(CLKB), .read(read_b), .enable(OCEB), .reset(RSTB),
      .found(found_b >> first_b & seen_b), .shown(do_b));
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
      DOA4, DOA3, DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? do_b[17:0] : do_a[17:0];
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
      DOB4, DOB3, DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? do_b[35:18] : do_b[17:0];

  generate
    if (DATA_WIDTH_A == 36 && WRITEMODE_A != "NORMAL" || ASYNC_RESET_RELEASE != RESETMODE
        || CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
      initial $fatal(1, "DP16KD: a mode that is not modelled");
  endgenerate

  function [17:0] initial_word(input [9:0] n);
    reg [319:0] row;
    begin
      case (n[9:4])
        6'h00: row = INITVAL_00;
        6'h01: row = INITVAL_01;
        6'h02: row = INITVAL_02;
        6'h03: row = INITVAL_03;
        6'h04: row = INITVAL_04;
        6'h05: row = INITVAL_05;
        6'h06: row = INITVAL_06;
        6'h07: row = INITVAL_07;
        6'h08: row = INITVAL_08;
        6'h09: row = INITVAL_09;
        6'h0a: row = INITVAL_0A;
        6'h0b: row = INITVAL_0B;
        6'h0c: row = INITVAL_0C;
        6'h0d: row = INITVAL_0D;
        6'h0e: row = INITVAL_0E;
        6'h0f: row = INITVAL_0F;
        6'h10: row = INITVAL_10;
        6'h11: row = INITVAL_11;
        6'h12: row = INITVAL_12;
        6'h13: row = INITVAL_13;
        6'h14: row = INITVAL_14;
        6'h15: row = INITVAL_15;
        6'h16: row = INITVAL_16;
        6'h17: row = INITVAL_17;
        6'h18: row = INITVAL_18;
        6'h19: row = INITVAL_19;
        6'h1a: row = INITVAL_1A;
        6'h1b: row = INITVAL_1B;
        6'h1c: row = INITVAL_1C;
        6'h1d: row = INITVAL_1D;
        6'h1e: row = INITVAL_1E;
        6'h1f: row = INITVAL_1F;
        6'h20: row = INITVAL_20;
        6'h21: row = INITVAL_21;
        6'h22: row = INITVAL_22;
        6'h23: row = INITVAL_23;
        6'h24: row = INITVAL_24;
        6'h25: row = INITVAL_25;
        6'h26: row = INITVAL_26;
        6'h27: row = INITVAL_27;
        6'h28: row = INITVAL_28;
        6'h29: row = INITVAL_29;
        6'h2a: row = INITVAL_2A;
        6'h2b: row = INITVAL_2B;
        6'h2c: row = INITVAL_2C;
        6'h2d: row = INITVAL_2D;
        6'h2e: row = INITVAL_2E;
        6'h2f: row = INITVAL_2F;
        6'h30: row = INITVAL_30;
        6'h31: row = INITVAL_31;
        6'h32: row = INITVAL_32;
        6'h33: row = INITVAL_33;
        6'h34: row = INITVAL_34;
        6'h35: row = INITVAL_35;
        6'h36: row = INITVAL_36;
        6'h37: row = INITVAL_37;
        6'h38: row = INITVAL_38;
        6'h39: row = INITVAL_39;
        6'h3a: row = INITVAL_3A;
        6'h3b: row = INITVAL_3B;
        6'h3c: row = INITVAL_3C;
        6'h3d: row = INITVAL_3D;
        6'h3e: row = INITVAL_3E;
        6'h3f: row = INITVAL_3F;
      endcase
      initial_word = row[20*n[3:0]+:18];
    end
  endfunction
  integer i;
  initial for (i = 0; i < 1024; i = i + 1) words[i] = initial_word(i[9:0]);
endmodule
