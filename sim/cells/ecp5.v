// Cells of the ECP5 as yosys and nextpnr-ecp5 name them, to simulate a netlist with Verilator.
//
// Sources: ECP5 and ECP5-5G Family Data Sheet (FPGA-DS-02012), Memory Usage Guide (FPGA-TN-02204),
// sysDSP Usage Guide (FPGA-TN-02205), sysCLOCK PLL/DLL Design and Usage Guide (FPGA-TN-02200). What
// a cell is asked for and its model does not have ends the simulation: nothing is passed over.
// Global set/reset reaches the flip-flops, one clock later than it should; nothing else heeds it.

`timescale 1ns / 1ps

package ecp5;
  reg global_reset = 1'b0;
endpackage

// Z = INIT[{D, C, B, A}]; written so that a constant INIT leaves little to evaluate.
module LUT4 (input A, input B, input C, input D, output Z);
  parameter [15:0] INIT = 16'h0000;
  assign Z = D
      ? C ? B ? A ? INIT[15] : INIT[14] : A ? INIT[13] : INIT[12]
          : B ? A ? INIT[11] : INIT[10] : A ? INIT[9] : INIT[8]
      : C ? B ? A ? INIT[7] : INIT[6] : A ? INIT[5] : INIT[4]
          : B ? A ? INIT[3] : INIT[2] : A ? INIT[1] : INIT[0];
endmodule

module PFUMX (input ALUT, input BLUT, input C0, output Z);
  assign Z = C0 ? ALUT : BLUT;
endmodule

module L6MUX21 (input D0, input D1, input SD, output Z);
  assign Z = SD ? D1 : D0;
endmodule

// Half of a carry slice: the LUT propagates, its lower quarter generates; INJECT1 cuts carries off.
module ecp5_carry (
    input A, input B, input C, input D, input CIN, output S, output COUT
);
  parameter [15:0] INIT = 16'h0000;
  parameter INJECT1 = "NO";
  wire propagate;
  LUT4 #(.INIT(INIT)) lut (.A(A), .B(B), .C(C), .D(D), .Z(propagate));
  wire generated = B ? A ? INIT[3] : INIT[2] : A ? INIT[1] : INIT[0];
  generate
    if (INJECT1 == "YES") begin : injected
      assign S = propagate;
      assign COUT = propagate & CIN;
    end else begin : chained
      assign S = propagate ^ CIN;
      assign COUT = propagate ? CIN : generated;
    end
  endgenerate
endmodule

module CCU2C (
    input CIN, input A0, input B0, input C0, input D0, input A1, input B1, input C1, input D1,
    output S0, output S1, output COUT
);
  parameter [15:0] INIT0 = 16'h0000;
  parameter [15:0] INIT1 = 16'h0000;
  parameter INJECT1_0 = "YES";
  parameter INJECT1_1 = "YES";
  wire carry;
  ecp5_carry #(.INIT(INIT0), .INJECT1(INJECT1_0)) low (
      .A(A0), .B(B0), .C(C0), .D(D0), .CIN(CIN), .S(S0), .COUT(carry));
  ecp5_carry #(.INIT(INIT1), .INJECT1(INJECT1_1)) high (
      .A(A1), .B(B1), .C(C1), .D(D1), .CIN(carry), .S(S1), .COUT(COUT));
endmodule

// Global set/reset, in step with the clock.
module SGSR (input GSR, input CLK);
  always @(posedge CLK) ecp5::global_reset <= ~GSR;
endmodule

// A flip-flop. It wakes up at the value that REGSET names.
module TRELLIS_FF (input CLK, input LSR, input CE, input DI, input M, output reg Q);
  parameter GSR = "ENABLED";
  parameter CEMUX = "1";
  parameter CLKMUX = "CLK";
  parameter LSRMUX = "LSR";
  parameter LSRMODE = "LSR";
  parameter SRMODE = "LSR_OVER_CE";
  parameter REGSET = "RESET";
  parameter SD = "1";  // nextpnr: "0" takes M as data
  localparam VALUE = REGSET == "SET";

  wire enable, set;
  wire resets = GSR == "ENABLED" ? ecp5::global_reset : 1'b0;
  wire data = SD == "0" ? M : DI;
  generate
    if (CEMUX == "1") assign enable = 1'b1;
    else if (CEMUX == "INV") assign enable = ~CE;
    else assign enable = CE;
    if (LSRMUX == "INV") assign set = ~LSR;
    else assign set = LSR;
    if (LSRMODE != "LSR" || CLKMUX != "CLK")
      initial $fatal(1, "TRELLIS_FF: a mode that is not modelled");
    initial Q = VALUE;
    if (SRMODE == "ASYNC") begin : asynchronous
      always @(posedge CLK or posedge set)
        if (set) Q <= VALUE;
        else if (resets) Q <= VALUE;
        else if (enable) Q <= data;
    end else begin : synchronous
      always @(posedge CLK)
        if (set | resets) Q <= VALUE;
        else if (enable) Q <= data;
    end
  endgenerate
endmodule

// Distributed RAM: written at the clock, read at any time.
module TRELLIS_DPR16X4 (
    input [3:0] DI, input [3:0] WAD, input WRE, input WCK, input [3:0] RAD, output [3:0] DO
);
  parameter WCKMUX = "WCK";
  parameter WREMUX = "WRE";
  parameter [63:0] INITVAL = 64'h0;
  wire enable;
  generate
    if (WCKMUX != "WCK") initial $fatal(1, "TRELLIS_DPR16X4: WCKMUX is not modelled");
    if (WREMUX == "INV") assign enable = ~WRE;
    else if (WREMUX == "1") assign enable = 1'b1;
    else assign enable = WRE;
  endgenerate
  reg [3:0] words[0:15];
  integer i;
  initial for (i = 0; i < 16; i = i + 1) words[i] = INITVAL[4*i+:4];
  always @(posedge WCK) if (enable) words[WAD] <= DI;
  assign DO = words[RAD];
endmodule

// A pin. In a netlist of ours each is an input or an output.
module TRELLIS_IO (inout B, input I, input T, output O);
  parameter DIR = "INPUT";
  generate
    if (DIR == "INPUT") assign O = B;
    else if (DIR == "OUTPUT") assign B = I;
    else initial $fatal(1, "TRELLIS_IO: DIR is not modelled");
  endgenerate
endmodule
