// Cells that nextpnr-ecp5 makes when it packs: half a slice's LUT with its carry, its distributed
// RAM and its wider multiplexer; the write port of that RAM; a clock buffer; the global reset.

`timescale 1ns / 1ps

module TRELLIS_COMB (
    input A, input B, input C, input D, input M, input FCI, input F1, input FXA, input FXB,
    input WD, input DI0, input DI1, input WAD0, input WAD1, input WAD2, input WAD3, input WRE,
    input WCK, output F, output FCO, output OFX
);
  parameter MODE = "LOGIC";
  parameter [15:0] INITVAL = 16'h0000;
  parameter CCU2_INJECT1 = "NO";
  parameter WREMUX = "WRE";
  parameter WCKMUX = "WCK";
  parameter IS_Z1 = 0;  // its multiplexer chooses among those of others
  generate
    if (MODE == "LOGIC") begin : logic_mode
      LUT4 #(.INIT(INITVAL)) lut (.A(A), .B(B), .C(C), .D(D), .Z(F));
      assign FCO = 1'b0;
    end else if (MODE == "CCU2") begin : carry_mode
      ecp5_carry #(.INIT(INITVAL), .INJECT1(CCU2_INJECT1)) carry (
          .A(A), .B(B), .C(C), .D(D), .CIN(FCI), .S(F), .COUT(FCO));
    end else if (MODE == "DPRAM") begin : memory_mode
      reg [15:0] bits = INITVAL;
      wire enable = WREMUX == "1" || (WREMUX == "INV") != WRE;
      always @(posedge WCK) if (enable) bits[{WAD3, WAD2, WAD1, WAD0}] <= WD;
      assign F = bits[{A, C, B, D}];
      assign FCO = 1'b0;
    end else if (MODE == "RAMW_BLOCK") begin : taken
      assign F = 1'b0;
      assign FCO = 1'b0;
    end else begin
      initial $fatal(1, "TRELLIS_COMB: MODE is not modelled");
    end
    if (IS_Z1 != 0) L6MUX21 mux (.D0(FXA), .D1(FXB), .SD(M), .Z(OFX));
    else PFUMX mux (.ALUT(F1), .BLUT(F), .C0(M), .Z(OFX));
  endgenerate
endmodule

module TRELLIS_RAMW (
    input A0, input B0, input C0, input D0, input A1, input B1, input C1, input D1,
    output WADO0, output WADO1, output WADO2, output WADO3,
    output WDO0, output WDO1, output WDO2, output WDO3
);
  assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
  assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
endmodule

module DCCA (input CLKI, input CE, output CLKO);
  assign CLKO = CLKI;
endmodule

module GSR (input GSR, input CLK);  // its pin is called as it is
  parameter MODE = "ACTIVE_LOW";
  parameter SYNCMODE = "SYNC";
  generate
    if (MODE != "ACTIVE_LOW" || SYNCMODE != "SYNC")
      initial $fatal(1, "GSR: a mode that is not modelled");
  endgenerate
  SGSR sgsr (.GSR(GSR), .CLK(CLK));
endmodule
