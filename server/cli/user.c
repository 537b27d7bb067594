/* `freshet user`: the roles of a data directory, whether a server has it open or not; a running one
 * takes what changes within a moment.
 *
 * A password comes from a terminal (asked twice, not shown), from the first line of the standard
 * input or of a file, and never from the command line, where every process could read it. It may be
 * the verifier that another server made of one. */
#include "server/access/access.h"
#include "server/access/crypto.h"
#include "server/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct words {
    const char *action, *name, *data, *role, *password_file;
    bool wants_token;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: freshet user add NAME --role reader|writer|admin|none [--token]\n"
            "       freshet user passwd NAME [--token]\n"
            "       freshet user list\n"
            "       freshet user drop NAME\n\n"
            "  --data DIR            the data directory (freshet-data)\n"
            "  --password-file FILE  its first line is the password; - is the standard "
            "input\n"
            "  --token               makes and prints a token for the HTTP port; the newest "
            "two of a user hold\n");
    return EXIT_USAGE;
}

static bool read_words(int argc, char **argv, struct words *out)
{
    *out = (struct words){.data = "freshet-data"};
    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = cli_option("data", argc, argv, &i)) != NULL)
            out->data = value;
        else if ((value = cli_option("role", argc, argv, &i)) != NULL)
            out->role = value;
        else if ((value = cli_option("password-file", argc, argv, &i)) != NULL)
            out->password_file = value;
        else if (strcmp(argv[i], "--token") == 0)
            out->wants_token = true;
        else if (argv[i][0] == '-' || out->name != NULL)
            return false;
        else if (out->action == NULL)
            out->action = argv[i];
        else
            out->name = argv[i];
    }
    return out->action != NULL;
}

/* --- passwords --- */

/* A line without its end. False: none, or it is too long. */
static bool read_line(FILE *in, char *out, size_t capacity)
{
    if (fgets(out, (int)capacity, in) == NULL)
        return false;
    size_t size = strcspn(out, "\r\n");
    bool is_whole = out[size] != 0 || feof(in);
    out[size] = 0;
    return is_whole;
}

static bool read_password(const char *path, char *out, size_t capacity)
{
    bool is_input = path == NULL || strcmp(path, "-") == 0;
    bool is_there;
    if (path == NULL && isatty(STDIN_FILENO)) {
        char *again = memory_alloc_zero(capacity);
        is_there = cli_ask_hidden("Password: ", out, capacity) &&
                   cli_ask_hidden("Again: ", again, capacity);
        bool is_same = is_there && strcmp(out, again) == 0;
        if (is_there && !is_same)
            cli_complain("user: the two differ");
        crypto_wipe(again, capacity);
        memory_free(again);
        return is_same;
    }
    FILE *in = is_input ? stdin : fopen(path, "re");
    is_there = in != NULL && read_line(in, out, capacity);
    if (!is_there)
        cli_complain("user: no password in %s%s%s", is_input ? "the standard input" : path,
                     in == NULL ? ": " : "", in == NULL ? strerror(errno) : "");
    if (in != NULL && !is_input)
        fclose(in);
    return is_there;
}

/* --- changes --- */

struct change {
    const struct words *words;
    enum role_kind kind;
    const struct verifier *verifier; /* NULL: a token instead */
    char token[TOKEN_TEXT_MAX];
};

static enum err find(const struct change *change, const struct role_set *set, struct role **out,
                     struct error *error)
{
    *out = role_set_find(set, slice_from_cstr(change->words->name));
    return *out != NULL ? OK
                        : error_set(error, ERR_NOT_FOUND, "42704", "role \"%.100s\" does not exist",
                                    change->words->name);
}

static void set_credential(struct change *change, struct role_set *set, struct role *role)
{
    if (change->verifier == NULL) {
        role_add_token(set, role, change->token);
        return;
    }
    role->has_verifier = true;
    role->verifier = *change->verifier;
}

static enum err add(void *context, struct role_set *set, struct error *error)
{
    struct change *change = context;
    struct role *role;
    enum err result = role_set_add(set, slice_from_cstr(change->words->name), &role, error);
    if (result != OK)
        return result;
    role->kind = change->kind;
    set_credential(change, set, role);
    return OK;
}

static enum err passwd(void *context, struct role_set *set, struct error *error)
{
    struct change *change = context;
    struct role *role;
    enum err result = find(change, set, &role, error);
    if (result == OK)
        set_credential(change, set, role);
    return result;
}

static enum err drop(void *context, struct role_set *set, struct error *error)
{
    struct change *change = context;
    struct role *role;
    enum err result = find(change, set, &role, error);
    if (result == OK)
        role_set_remove(set, role);
    return result;
}

static void print_role(void *context, const struct role *role)
{
    (void)context;
    printf("%-24s %-8s %-10s %u %s  %zu %s\n", role->name, role_kind_name(role->kind),
           role->cannot_log_in  ? "no login"
           : role->has_verifier ? "password"
                                : "-",
           role->token_count, role->token_count == 1 ? "token " : "tokens", role->grant_count,
           role->grant_count == 1 ? "table" : "tables");
}

/* --- the subcommand --- */

static int run(const struct words *words, struct change *change, struct error *error,
               enum err (*how)(void *context, struct role_set *set, struct error *error))
{
    struct access *access;
    enum err result = access_open(words->data, &access, error);
    if (result != OK) {
        cli_complain("user: %s", error->text);
        return 1;
    }
    if (how == NULL)
        access_each(access, print_role, NULL);
    else
        result = access_change(access, how, change, error);
    access_close(access);
    if (result != OK)
        cli_complain("user: %s", error->text);
    else if (change->token[0] != 0)
        printf("%s\n", change->token);
    return result == OK ? 0 : 1;
}

/* Asks for the password where there is one to ask for, then changes. */
static int run_with_credential(const struct words *words, struct change *change,
                               enum err (*how)(void *context, struct role_set *set,
                                               struct error *error))
{
    char password[PASSWORD_SIZE_MAX + 3] = "";
    struct verifier verifier;
    struct error error;
    int status = 1;
    if (words->wants_token) {
        status = run(words, change, &error, how);
    } else if (read_password(words->password_file, password, sizeof(password))) {
        if (verifier_take(slice_from_cstr(password), &verifier, &error) == OK) {
            change->verifier = &verifier;
            status = run(words, change, &error, how);
        } else {
            cli_complain("user: %s", error.text);
        }
    }
    crypto_wipe(password, sizeof(password));
    crypto_wipe(change->token, sizeof(change->token));
    return status;
}

int cli_user(int argc, char **argv)
{
    struct words words;
    struct error error;
    if (!read_words(argc, argv, &words))
        return usage();
    struct change change = {.words = &words};
    bool is_add = strcmp(words.action, "add") == 0;
    if (strcmp(words.action, "list") == 0 && words.name == NULL)
        return run(&words, &change, &error, NULL);
    if (words.name == NULL || is_add != (words.role != NULL))
        return usage();
    if (is_add && !role_kind_parse(slice_from_cstr(words.role), &change.kind))
        return usage();
    if (is_add && mkdir(words.data, 0700) != 0 && errno != EEXIST) {
        cli_complain("user: cannot make %s: %s", words.data, strerror(errno));
        return 1;
    }
    if (is_add)
        return run_with_credential(&words, &change, add);
    if (strcmp(words.action, "passwd") == 0)
        return run_with_credential(&words, &change, passwd);
    return strcmp(words.action, "drop") == 0 ? run(&words, &change, &error, drop) : usage();
}
