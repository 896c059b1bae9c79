// A Verilated PCIe signer at its raw-TLP pins, as a library: whole TLPs in and out, clocks by need.
//
// A TLP is an array of DWs, the first of the header first, as the pins carry them. Nothing here
// knows what one means.

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

namespace {

constexpr unsigned RESET_CLOCKS = 4;
constexpr unsigned SETTLE_CLOCKS = 64;  // longer than `busy` lags behind the pins

using Tlp = std::vector<uint32_t>;

struct Signer {
    VerilatedContext context;
    Vtop top{&context};
    std::deque<Tlp> inward, outward;
    std::size_t sent = 0;  // DWs of the first inward TLP that the pins have taken
    Tlp growing;           // the outward TLP whose end has not come yet
    uint64_t clocks = 0;
    unsigned settle = SETTLE_CLOCKS;
    unsigned interrupts = 0;

    void clock() {
        const bool offered = !inward.empty();
        top.rx___05Fvalid = offered;
        if (offered) {
            const Tlp &tlp = inward.front();
            const uint64_t last = sent + 1 == tlp.size();
            top.rx___05Fpayload = last << 32 | tlp[sent];
        }
        top.clk = 0;
        top.eval();
        const bool taken = offered && top.rx___05Fready;
        const bool given = top.tx___05Fvalid && top.tx___05Fready;
        const uint64_t beat = top.tx___05Fpayload;
        const bool interrupt = top.function___05Fmsi_request && !top.function___05Fmsi_ack;
        top.clk = 1;
        top.eval();
        top.function___05Fmsi_ack = interrupt;
        interrupts += interrupt;
        ++clocks;
        if (taken && ++sent == inward.front().size()) {
            inward.pop_front();
            sent = 0;
        }
        if (given) {
            growing.push_back(static_cast<uint32_t>(beat));
            if (beat >> 32 & 1) outward.push_back(std::move(growing)), growing.clear();
        }
        const bool quiet = inward.empty() && !top.busy && !given && !interrupt;
        settle = !quiet ? SETTLE_CLOCKS : settle ? settle - 1 : 0;
    }
};

}  // namespace

extern "C" {

Signer *signer_new(const uint8_t *git_revision) {
    auto signer = std::make_unique<Signer>();
    Vtop &top = signer->top;
    for (unsigned byte = 0; byte < 20; ++byte)
        top.git_revision[byte / 4] |= static_cast<uint32_t>(git_revision[byte]) << 8 * (byte % 4);
    top.tx___05Fready = 1;
    top.rst = 1;
    for (unsigned clock = 0; clock < RESET_CLOCKS; ++clock) signer->clock();
    top.rst = 0;
    return signer.release();
}

void signer_free(Signer *signer) { delete signer; }

void signer_configure(Signer *signer, uint32_t bdf, uint32_t bus_master, uint32_t max_payload,
                      uint32_t max_read_request, uint32_t msi_enable) {
    Vtop &top = signer->top;
    top.function___05Fbdf = bdf;
    top.function___05Fbus_master = bus_master;
    top.function___05Fmax_payload = max_payload;
    top.function___05Fmax_read_request = max_read_request;
    top.function___05Fmsi_enable = msi_enable;
    signer->settle = SETTLE_CLOCKS;
}

// Function-level reset. What was on its way in or out is dropped.
void signer_reset(Signer *signer) {
    signer->top.function___05Freset = 1;
    for (unsigned clock = 0; clock < RESET_CLOCKS; ++clock) signer->clock();
    signer->top.function___05Freset = 0;
    signer->settle = SETTLE_CLOCKS;
}

void signer_push(Signer *signer, const uint32_t *dws, uint32_t count) {
    signer->inward.emplace_back(dws, dws + count);
    signer->settle = SETTLE_CLOCKS;
}

// Run at most `clocks`, less if a TLP or an interrupt comes out or nothing is left to do.
uint32_t signer_run(Signer *signer, uint32_t clocks) {
    uint32_t done = 0;
    while (done < clocks && signer->settle && signer->outward.empty() && !signer->interrupts) {
        signer->clock();
        ++done;
    }
    return done;
}

// The next TLP that came out, in `dws` of room for 1,028; its length, 0 if there is none.
uint32_t signer_pop(Signer *signer, uint32_t *dws) {
    if (signer->outward.empty()) return 0;
    const Tlp tlp = std::move(signer->outward.front());
    signer->outward.pop_front();
    std::copy(tlp.begin(), tlp.end(), dws);
    return static_cast<uint32_t>(tlp.size());
}

uint32_t signer_interrupts(Signer *signer) {
    const unsigned count = signer->interrupts;
    signer->interrupts = 0;
    return count;
}

uint32_t signer_busy(Signer *signer) {
    return signer->settle || signer->interrupts || !signer->outward.empty();
}

uint64_t signer_clocks(Signer *signer) { return signer->clocks; }

}  // extern "C"
