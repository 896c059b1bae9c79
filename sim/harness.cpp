// The virtual board: a Verilated core behind a pseudo-terminal.
//
//   program CLOCKS_PER_BIT GIT_REVISION_HEX
//
// Prints "path /dev/pts/N", then moves bytes between that terminal and the core's UART pins. The
// clock runs only while there is something to do: bytes to send or to receive, or the core says it
// is busy. Otherwise the process sleeps in poll(). Bytes wait in bounded buffers; where one is full,
// the terminal is not read, or the clock stops until the host reads.
//
// Every 'c' on standard input is answered "cycles N" (clocks since the start). The board ends when
// its standard input is closed or the process that started it is gone.

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "Vtop.h"
#include "verilated.h"

namespace {

constexpr std::size_t BUFFER_BYTES = 1 << 16;
constexpr unsigned RESET_CLOCKS = 4;
constexpr unsigned SETTLE_CLOCKS = 64;       // longer than `busy` lags behind the pins
constexpr unsigned CLOCKS_BETWEEN_POLLS = 256;

[[noreturn]] void fail(const char *what) {
    std::fprintf(stderr, "virtual board: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

// Bytes on their way, first in, first out.
class Buffer {
  public:
    std::size_t size() const { return end_ - begin_; }
    bool empty() const { return begin_ == end_; }
    bool full() const { return size() == BUFFER_BYTES; }
    void push(uint8_t byte) { bytes_[end_++ % BUFFER_BYTES] = byte; }
    uint8_t pop() { return bytes_[begin_++ % BUFFER_BYTES]; }

    // Fill from `fd` as far as it has bytes; false at its end.
    bool read_from(int fd) {
        while (!full()) {
            const std::size_t at = end_ % BUFFER_BYTES;
            const std::size_t room = std::min(BUFFER_BYTES - size(), BUFFER_BYTES - at);
            const ssize_t count = ::read(fd, bytes_ + at, room);
            if (count <= 0) return count < 0 && (errno == EAGAIN || errno == EINTR);
            end_ += static_cast<std::size_t>(count);
        }
        return true;
    }

    // Empty into `fd` as far as it takes bytes.
    void write_to(int fd) {
        while (!empty()) {
            const std::size_t at = begin_ % BUFFER_BYTES;
            const ssize_t count = ::write(fd, bytes_ + at, std::min(size(), BUFFER_BYTES - at));
            if (count <= 0) return;
            begin_ += static_cast<std::size_t>(count);
        }
    }

  private:
    uint8_t bytes_[BUFFER_BYTES];
    std::size_t begin_ = 0, end_ = 0;
};

// Drives a serial line, 8N1.
class Sender {
  public:
    explicit Sender(unsigned clocks_per_bit) : clocks_per_bit_(clocks_per_bit) {}
    bool idle() const { return bits_left_ == 0; }

    // Level of the line in the next clock.
    bool step(Buffer &bytes) {
        if (bits_left_ == 0) {
            if (bytes.empty()) return true;
            shift_ = (bytes.pop() << 1) | 0x200;
            bits_left_ = 10;
            timer_ = clocks_per_bit_;
        }
        const bool level = shift_ & 1;
        if (--timer_ == 0) {
            shift_ >>= 1;
            --bits_left_;
            timer_ = clocks_per_bit_;
        }
        return level;
    }

  private:
    const unsigned clocks_per_bit_;
    unsigned shift_ = 0, bits_left_ = 0, timer_ = 0;
};

// Watches a serial line, 8N1, sampling in the middle of each bit.
class Receiver {
  public:
    explicit Receiver(unsigned clocks_per_bit) : clocks_per_bit_(clocks_per_bit) {}
    bool idle() const { return bits_left_ == 0; }

    void step(bool level, Buffer &bytes) {
        if (bits_left_ == 0) {
            if (level) return;
            bits_left_ = 9;
            timer_ = clocks_per_bit_ + clocks_per_bit_ / 2;
        } else if (--timer_ == 0) {
            timer_ = clocks_per_bit_;
            if (--bits_left_ != 0) {
                shift_ = (shift_ >> 1) | (level << 7);
            } else if (level) {
                bytes.push(shift_);
            }
        }
    }

  private:
    const unsigned clocks_per_bit_;
    unsigned shift_ = 0, bits_left_ = 0, timer_ = 0;
};

// The core, its clock and what is at its pins.
class Board {
  public:
    Board(unsigned clocks_per_bit, const std::string &git_revision)
        : top_(&context_), sender_(clocks_per_bit), receiver_(clocks_per_bit) {
        for (unsigned &word : top_.git_revision.m_storage) word = 0;
        for (std::size_t i = 0; i < 20; ++i) {
            const unsigned byte = std::stoul(git_revision.substr(2 * i, 2), nullptr, 16);
            top_.git_revision[i / 4] |= byte << 8 * (i % 4);
        }
        top_.rx = 1;
        top_.rst = 1;
        for (unsigned n = 0; n < RESET_CLOCKS; ++n) tick();
        top_.rst = 0;
    }

    Buffer to_core, to_host;
    uint64_t cycles() const { return cycles_; }
    bool asleep() const { return quiet_ >= SETTLE_CLOCKS && to_core.empty(); }

    void run(unsigned clocks) {
        while (clocks-- && !asleep() && !to_host.full()) {
            top_.rx = sender_.step(to_core);
            tick();
            receiver_.step(top_.tx, to_host);
            quiet_ = top_.busy || !sender_.idle() || !receiver_.idle() ? 0 : quiet_ + 1;
        }
    }

  private:
    void tick() {
        top_.clk = 1;
        top_.eval();
        top_.clk = 0;
        top_.eval();
        ++cycles_;
    }

    VerilatedContext context_;
    Vtop top_;
    Sender sender_;
    Receiver receiver_;
    uint64_t cycles_ = 0;
    unsigned quiet_ = 0;
};

// Master of a new pseudo-terminal in raw mode. Its slave stays open here, so that hosts may come and
// go without ending it.
int open_terminal() {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || ::grantpt(master) || ::unlockpt(master)) fail("cannot open a pty");
    const char *path = ::ptsname(master);
    const int slave = path ? ::open(path, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    termios mode;
    if (slave < 0 || ::tcgetattr(slave, &mode)) fail("cannot open the pty's slave");
    ::cfmakeraw(&mode);
    if (::tcsetattr(slave, TCSANOW, &mode)) fail("cannot make the pty raw");
    if (::fcntl(master, F_SETFL, O_NONBLOCK)) fail("cannot make the pty non-blocking");
    std::printf("path %s\n", path);
    std::fflush(stdout);
    return master;
}

// Descriptor that becomes readable when the parent process ends; -1 (poll ignores it) if the system
// has none.
int watch_parent() {
#ifdef SYS_pidfd_open
    return static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0));
#else
    return -1;
#endif
}

void answer_cycles(const Board &board) {
    std::printf("cycles %llu\n", static_cast<unsigned long long>(board.cycles()));
    std::fflush(stdout);
}

// Answer requests on standard input; false at its end.
bool serve_stdin(const Board &board) {
    char requests[64];
    const ssize_t count = ::read(STDIN_FILENO, requests, sizeof requests);
    for (ssize_t i = 0; i < count; ++i) {
        if (requests[i] == 'c') answer_cycles(board);
    }
    return count > 0 || (count < 0 && errno == EINTR);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3 || std::strlen(argv[2]) != 40 || std::atoi(argv[1]) < 2) {
        std::fprintf(stderr, "usage: %s CLOCKS_PER_BIT GIT_REVISION_HEX\n", argv[0]);
        return 2;
    }
    const int parent = watch_parent();  // while it surely lives: it waits for the path
    const auto board = std::make_unique<Board>(std::atoi(argv[1]), argv[2]);
    pollfd events[] = {{open_terminal(), 0, 0}, {STDIN_FILENO, POLLIN, 0}, {parent, POLLIN, 0}};
    pollfd &terminal = events[0];
    while (true) {
        board->to_host.write_to(terminal.fd);
        const bool stopped = board->asleep() || board->to_host.full();
        terminal.events = 0;
        if (!board->to_core.full()) terminal.events |= POLLIN;
        if (stopped && !board->to_host.empty()) terminal.events |= POLLOUT;
        if (::poll(events, 3, stopped ? -1 : 0) < 0 && errno != EINTR) fail("poll");
        if (events[2].revents) break;
        if (events[1].revents && !serve_stdin(*board)) break;
        if (terminal.revents & POLLIN && !board->to_core.read_from(terminal.fd)) fail("pty closed");
        board->run(CLOCKS_BETWEEN_POLLS);
    }
    answer_cycles(*board);
    return 0;
}
