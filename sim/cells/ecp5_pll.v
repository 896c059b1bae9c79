// EHXPLLL of the ECP5: clocks from a clock, in simulated time.
//
// FPGA-TN-02200, with the loop closed over CLKOP:
//     fPFD = fCLKI / CLKI_DIV     fCLKOP = fPFD * CLKFB_DIV     fVCO = fCLKOP * CLKOP_DIV
//     fCLKOS = fVCO / CLKOS_DIV
// LOCK rises once the loop has run for LOCK_PERIODS periods of CLKI; before that the outputs are
// low, and the loop only counts if CLKFB is CLKOP. The simulation ends if a frequency is out of the
// range of the data sheet (FPGA-DS-02012, sysCLOCK PLL timing). Phases are not modelled.

`timescale 1ns / 1ps

// A clock of period `period`, in ns, while `on`.
module ecp5_oscillator (input on, input real period, output reg clock);
  real next;
  initial clock = 1'b0;
  always @(posedge on) begin
    next = $realtime;
    while (on) begin
      clock = 1'b1;
      next = next + period / 2;
      #(next - $realtime);
      clock = 1'b0;
      next = next + period / 2;
      #(next - $realtime);
    end
  end
endmodule

module EHXPLLL (
    input CLKI, CLKFB, PHASESEL1, PHASESEL0, PHASEDIR, PHASESTEP, PHASELOADREG, STDBY, PLLWAKESYNC,
    input RST, ENCLKOP, ENCLKOS, ENCLKOS2, ENCLKOS3,
    output CLKOP, CLKOS, CLKOS2, CLKOS3, LOCK, INTLOCK, REFCLK, CLKINTFB
);
  parameter CLKI_DIV = 1;
  parameter CLKFB_DIV = 1;
  parameter CLKOP_DIV = 8;
  parameter CLKOS_DIV = 8;
  parameter CLKOS2_DIV = 8;
  parameter CLKOS3_DIV = 8;
  parameter CLKOP_ENABLE = "ENABLED";
  parameter CLKOS_ENABLE = "DISABLED";
  parameter CLKOS2_ENABLE = "DISABLED";
  parameter CLKOS3_ENABLE = "DISABLED";
  parameter CLKOP_CPHASE = 0;
  parameter CLKOS_CPHASE = 0;
  parameter CLKOS2_CPHASE = 0;
  parameter CLKOS3_CPHASE = 0;
  parameter CLKOP_FPHASE = 0;
  parameter CLKOS_FPHASE = 0;
  parameter CLKOS2_FPHASE = 0;
  parameter CLKOS3_FPHASE = 0;
  parameter CLKOP_TRIM_POL = "RISING";
  parameter CLKOP_TRIM_DELAY = 0;
  parameter CLKOS_TRIM_POL = "RISING";
  parameter CLKOS_TRIM_DELAY = 0;
  parameter OUTDIVIDER_MUXA = "DIVA";
  parameter OUTDIVIDER_MUXB = "DIVB";
  parameter OUTDIVIDER_MUXC = "DIVC";
  parameter OUTDIVIDER_MUXD = "DIVD";
  parameter FEEDBK_PATH = "CLKOP";
  parameter PLL_LOCK_MODE = 0;
  parameter PLL_LOCK_DELAY = 200;
  parameter STDBY_ENABLE = "DISABLED";
  parameter REFIN_RESET = "DISABLED";
  parameter SYNC_ENABLE = "DISABLED";
  parameter INT_LOCK_STICKY = "ENABLED";
  parameter DPHASE_SOURCE = "DISABLED";
  parameter PLLRST_ENA = "DISABLED";
  parameter INTFB_WAKE = "DISABLED";

  localparam real PFD_MHZ_MIN = 10.0, PFD_MHZ_MAX = 400.0, VCO_MHZ_MIN = 400.0, VCO_MHZ_MAX = 800.0;
  localparam LOCK_PERIODS = 16;
  generate
    if (FEEDBK_PATH != "CLKOP" || OUTDIVIDER_MUXA != "DIVA" || OUTDIVIDER_MUXB != "DIVB"
        || CLKOS2_ENABLE != "DISABLED" || CLKOS3_ENABLE != "DISABLED" || STDBY_ENABLE != "DISABLED"
        || DPHASE_SOURCE != "DISABLED" || PLLRST_ENA != "DISABLED" || CLKOP_ENABLE != "ENABLED")
      initial $fatal(1, "EHXPLLL: a mode that is not modelled");
  endgenerate

  real last = 0, period = 0, period_op = 1000, period_os = 1000;
  integer rises = 0, fed_back = 0;
  reg running = 1'b0, locked = 1'b0;

  ecp5_oscillator op (.on(running), .period(period_op), .clock(CLKOP));
  ecp5_oscillator os (
      .on(running && CLKOS_ENABLE == "ENABLED"), .period(period_os), .clock(CLKOS));
  assign LOCK = locked;
  assign INTLOCK = locked;
  assign REFCLK = CLKI;
  assign CLKINTFB = 1'b0;
  assign CLKOS2 = 1'b0;
  assign CLKOS3 = 1'b0;

  task check(input real value, input real low, input real high);
    if (value < low * 0.9999 || value > high * 1.0001)
      $fatal(1, "EHXPLLL: %f MHz is out of %f..%f MHz", value, low, high);
  endtask

  always @(posedge CLKFB) fed_back <= fed_back + 1;
  always @(posedge CLKI) begin
    period = $realtime - last;
    last = $realtime;
    rises = rises + 1;
    if (rises == 2) begin
      check(1000.0 / period / CLKI_DIV, PFD_MHZ_MIN, PFD_MHZ_MAX);
      check(1000.0 / period / CLKI_DIV * CLKFB_DIV * CLKOP_DIV, VCO_MHZ_MIN, VCO_MHZ_MAX);
      period_op = period * CLKI_DIV / CLKFB_DIV;
      period_os = period_op * CLKOS_DIV / CLKOP_DIV;
      running = 1'b1;
    end
    if (rises == LOCK_PERIODS + 2) begin
      if (fed_back * CLKI_DIV < (LOCK_PERIODS - 1) * CLKFB_DIV)
        $fatal(1, "EHXPLLL: CLKFB is not CLKOP, so the loop is open");
      locked = 1'b1;
    end
  end
endmodule
