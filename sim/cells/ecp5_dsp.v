// MULT18X18D of the ECP5: an 18 x 18 bit multiplier with registers before, within and behind it.
//
// FPGA-TN-02205: P = A * B, each operand two's complement where SIGNEDA or SIGNEDB is high. A
// register stands where REG_x_CLK names one of four clocks, with one of four enables and resets;
// the sign of an operand is registered with it, and both with the product. SOURCEA and SOURCEB
// choose the shift chain. RESETMODE tells whether resets wait for the clock.

`timescale 1ns / 1ps

module ecp5_register (
    input [3:0] CLK, input [3:0] CE, input [3:0] RST, input [WIDTH-1:0] D, output [WIDTH-1:0] Q
);
  parameter WIDTH = 1;
  parameter CLOCK = "NONE";
  parameter ENABLE = "CE0";
  parameter RESET = "RST0";
  parameter MODE = "SYNC";
  localparam [1:0] C = CLOCK == "CLK1" ? 1 : CLOCK == "CLK2" ? 2 : CLOCK == "CLK3" ? 3 : 0;
  localparam [1:0] E = ENABLE == "CE1" ? 1 : ENABLE == "CE2" ? 2 : ENABLE == "CE3" ? 3 : 0;
  localparam [1:0] R = RESET == "RST1" ? 1 : RESET == "RST2" ? 2 : RESET == "RST3" ? 3 : 0;
  generate
    if (CLOCK == "NONE") begin : wires
      assign Q = D;
    end else begin : flipflops
      wire clock = CLK[C], enable = CE[E], reset = RST[R];
      reg [WIDTH-1:0] value = 0;
      assign Q = value;
      if (MODE == "ASYNC") begin : asynchronous
        always @(posedge clock or posedge reset)
          if (reset) value <= 0;
          else if (enable) value <= D;
      end else begin : synchronous
        always @(posedge clock)
          if (reset) value <= 0;
          else if (enable) value <= D;
      end
    end
  endgenerate
endmodule

module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9,
        A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9,
        B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9,
        C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SRIA17, SRIA16, SRIA15, SRIA14, SRIA13, SRIA12, SRIA11, SRIA10, SRIA9,
        SRIA8, SRIA7, SRIA6, SRIA5, SRIA4, SRIA3, SRIA2, SRIA1, SRIA0,
    input SRIB17, SRIB16, SRIB15, SRIB14, SRIB13, SRIB12, SRIB11, SRIB10, SRIB9,
        SRIB8, SRIB7, SRIB6, SRIB5, SRIB4, SRIB3, SRIB2, SRIB1, SRIB0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK3, CLK2, CLK1, CLK0, CE3, CE2, CE1, CE0, RST3, RST2, RST1, RST0,
    output SROA17, SROA16, SROA15, SROA14, SROA13, SROA12, SROA11, SROA10, SROA9,
        SROA8, SROA7, SROA6, SROA5, SROA4, SROA3, SROA2, SROA1, SROA0,
    output SROB17, SROB16, SROB15, SROB14, SROB13, SROB12, SROB11, SROB10, SROB9,
        SROB8, SROB7, SROB6, SROB5, SROB4, SROB3, SROB2, SROB1, SROB0,
    output ROA17, ROA16, ROA15, ROA14, ROA13, ROA12, ROA11, ROA10, ROA9,
        ROA8, ROA7, ROA6, ROA5, ROA4, ROA3, ROA2, ROA1, ROA0,
    output ROB17, ROB16, ROB15, ROB14, ROB13, ROB12, ROB11, ROB10, ROB9,
        ROB8, ROB7, ROB6, ROB5, ROB4, ROB3, ROB2, ROB1, ROB0,
    output ROC17, ROC16, ROC15, ROC14, ROC13, ROC12, ROC11, ROC10, ROC9,
        ROC8, ROC7, ROC6, ROC5, ROC4, ROC3, ROC2, ROC1, ROC0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27,
        P26, P25, P24, P23, P22, P21, P20, P19, P18,
        P17, P16, P15, P14, P13, P12, P11, P10, P9,
        P8, P7, P6, P5, P4, P3, P2, P1, P0,
    output SIGNEDP
);
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTA_CE = "CE0";
  parameter REG_INPUTA_RST = "RST0";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_INPUTB_CE = "CE0";
  parameter REG_INPUTB_RST = "RST0";
  parameter REG_INPUTC_CLK = "NONE";
  parameter REG_INPUTC_CE = "CE0";
  parameter REG_INPUTC_RST = "RST0";
  parameter REG_PIPELINE_CLK = "NONE";
  parameter REG_PIPELINE_CE = "CE0";
  parameter REG_PIPELINE_RST = "RST0";
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_OUTPUT_CE = "CE0";
  parameter REG_OUTPUT_RST = "RST0";
  parameter CLK0_DIV = "ENABLED";
  parameter CLK1_DIV = "ENABLED";
  parameter CLK2_DIV = "ENABLED";
  parameter CLK3_DIV = "ENABLED";
  parameter HIGHSPEED_CLK = "NONE";
  parameter GSR = "ENABLED";
  parameter CAS_MATCH_REG = "FALSE";
  parameter SOURCEB_MODE = "B_SHIFT";
  parameter MULT_BYPASS = "DISABLED";
  parameter RESETMODE = "SYNC";

  wire [17:0] parallel_a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4,
      A3, A2, A1, A0};
  wire [17:0] parallel_b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4,
      B3, B2, B1, B0};
  wire [17:0] parallel_c = {C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4,
      C3, C2, C1, C0};
  wire [17:0] shifted_a = {SRIA17, SRIA16, SRIA15, SRIA14, SRIA13, SRIA12, SRIA11, SRIA10,
      SRIA9, SRIA8, SRIA7, SRIA6, SRIA5, SRIA4, SRIA3, SRIA2, SRIA1, SRIA0};
  wire [17:0] shifted_b = {SRIB17, SRIB16, SRIB15, SRIB14, SRIB13, SRIB12, SRIB11, SRIB10,
      SRIB9, SRIB8, SRIB7, SRIB6, SRIB5, SRIB4, SRIB3, SRIB2, SRIB1, SRIB0};

  generate
    if (SOURCEB_MODE != "B_SHIFT" || MULT_BYPASS != "DISABLED" || HIGHSPEED_CLK != "NONE"
        || CAS_MATCH_REG != "FALSE")
      initial $fatal(1, "MULT18X18D: a mode that is not modelled");
  endgenerate

  wire [3:0] clocks = {CLK3, CLK2, CLK1, CLK0};
  wire [3:0] enables = {CE3, CE2, CE1, CE0};
  wire [3:0] resets = {RST3, RST2, RST1, RST0};
  wire [18:0] a, b;
  wire [17:0] c;
  wire [36:0] piped, product;

  ecp5_register #(
      .WIDTH(19), .CLOCK(REG_INPUTA_CLK), .ENABLE(REG_INPUTA_CE), .RESET(REG_INPUTA_RST),
      .MODE(RESETMODE)
  ) input_a (
      .CLK(clocks), .CE(enables), .RST(resets), .Q(a),
      .D({SIGNEDA, SOURCEA ? shifted_a : parallel_a}));
  ecp5_register #(
      .WIDTH(19), .CLOCK(REG_INPUTB_CLK), .ENABLE(REG_INPUTB_CE), .RESET(REG_INPUTB_RST),
      .MODE(RESETMODE)
  ) input_b (
      .CLK(clocks), .CE(enables), .RST(resets), .Q(b),
      .D({SIGNEDB, SOURCEB ? shifted_b : parallel_b}));
  ecp5_register #(
      .WIDTH(18), .CLOCK(REG_INPUTC_CLK), .ENABLE(REG_INPUTC_CE), .RESET(REG_INPUTC_RST),
      .MODE(RESETMODE)
  ) input_c (.CLK(clocks), .CE(enables), .RST(resets), .Q(c), .D(parallel_c));

  wire signed [18:0] factor_a = {a[18] & a[17], a[17:0]};
  wire signed [18:0] factor_b = {b[18] & b[17], b[17:0]};
  wire signed [37:0] exact = factor_a * factor_b;

  ecp5_register #(
      .WIDTH(37), .CLOCK(REG_PIPELINE_CLK), .ENABLE(REG_PIPELINE_CE), .RESET(REG_PIPELINE_RST),
      .MODE(RESETMODE)
  ) pipeline (
      .CLK(clocks), .CE(enables), .RST(resets), .Q(piped), .D({a[18] | b[18], exact[35:0]}));
  ecp5_register #(
      .WIDTH(37), .CLOCK(REG_OUTPUT_CLK), .ENABLE(REG_OUTPUT_CE), .RESET(REG_OUTPUT_RST),
      .MODE(RESETMODE)
  ) behind (.CLK(clocks), .CE(enables), .RST(resets), .Q(product), .D(piped));

  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
      P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} =
      product[35:0];
  assign SIGNEDP = product[36];
  assign {SROA17, SROA16, SROA15, SROA14, SROA13, SROA12, SROA11, SROA10, SROA9, SROA8, SROA7,
      SROA6, SROA5, SROA4, SROA3, SROA2, SROA1, SROA0} = a[17:0];
  assign {SROB17, SROB16, SROB15, SROB14, SROB13, SROB12, SROB11, SROB10, SROB9, SROB8, SROB7,
      SROB6, SROB5, SROB4, SROB3, SROB2, SROB1, SROB0} = b[17:0];
  assign {ROA17, ROA16, ROA15, ROA14, ROA13, ROA12, ROA11, ROA10, ROA9, ROA8, ROA7, ROA6,
      ROA5, ROA4, ROA3, ROA2, ROA1, ROA0} = a[17:0];
  assign {ROB17, ROB16, ROB15, ROB14, ROB13, ROB12, ROB11, ROB10, ROB9, ROB8, ROB7, ROB6,
      ROB5, ROB4, ROB3, ROB2, ROB1, ROB0} = b[17:0];
  assign {ROC17, ROC16, ROC15, ROC14, ROC13, ROC12, ROC11, ROC10, ROC9, ROC8, ROC7, ROC6,
      ROC5, ROC4, ROC3, ROC2, ROC1, ROC0} = c;
endmodule
