/* A question at the terminal whose answer is not shown.
 *
 * The terminal belongs to the shell: whatever ends or stops the question (Ctrl-C, Ctrl-Z, a closed
 * window), it gets its echo back first, and only then the signal has its effect. The handlers do no
 * more than end the wait, so that all of this happens outside of them. */
#include "server/cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

static const int enders[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define ENDER_COUNT (sizeof(enders) / sizeof(enders[0]))

static volatile sig_atomic_t caught;

static void note(int number)
{
    caught = number;
}

enum answer { ANSWER_WHOLE, ANSWER_TOO_LONG, ANSWER_NONE, ANSWER_SIGNAL };

/* Byte by byte, so that nothing behind the line is taken and no buffer of stdio keeps the text. The
 * signals come in only while it waits (`open`), so none is missed before it does. */
static enum answer read_answer(const sigset_t *open, char *out, size_t capacity)
{
    size_t size = 0;
    for (;;) {
        char c;
        struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
        int ready = ppoll(&terminal, 1, NULL, open);
        if (caught != 0)
            return ANSWER_SIGNAL;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0 || read(STDIN_FILENO, &c, 1) != 1)
            return ANSWER_NONE;
        if (c == '\n')
            break;
        if (size + 1 < capacity)
            out[size] = c;
        size++;
    }
    out[size < capacity ? size : capacity - 1] = 0;
    return size < capacity ? ANSWER_WHOLE : ANSWER_TOO_LONG;
}

static enum answer ask_once(const char *prompt, char *out, size_t capacity)
{
    struct sigaction before[ENDER_COUNT], noted = {.sa_handler = note}; /* without SA_RESTART */
    struct termios shown, hidden;
    sigset_t blocked, open;
    if (tcgetattr(STDIN_FILENO, &shown) != 0)
        return ANSWER_NONE;
    caught = 0;
    sigemptyset(&blocked);
    for (size_t i = 0; i < ENDER_COUNT; i++)
        sigaddset(&blocked, enders[i]);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    for (size_t i = 0; i < ENDER_COUNT; i++) {
        sigaction(enders[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) /* nohup, a shell without job control */
            sigaction(enders[i], &noted, NULL);
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    fputs(prompt, stderr);
    enum answer answer = read_answer(&open, out, capacity);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fputc('\n', stderr);
    for (size_t i = 0; i < ENDER_COUNT; i++)
        sigaction(enders[i], &before[i], NULL);
    sigprocmask(SIG_SETMASK, &open, NULL);
    return answer;
}

bool cli_ask_hidden(const char *prompt, char *out, size_t capacity)
{
    enum answer answer = ask_once(prompt, out, capacity);
    while (answer == ANSWER_SIGNAL) {
        raise(caught); /* most end the process here; one that was only stopped asks again */
        answer = ask_once(prompt, out, capacity);
    }
    return answer == ANSWER_WHOLE;
}
