/* Lines of the log about what was done and refused: who, from where, what, on what.
 *
 *   command ok|failed role="…" client="…" what="GRANT" name="…" role_to="…" rights=… sqlstate=…
 *   command refused role="…" client="…" reason="…" others=…
 *   command begun role="…" client="…" what="CREATE TABLE by rows" name="…" others=…
 *
 * Names stand between quotes and hold none. Without users the role is empty. Lines that anybody can
 * cause as often as they like are bounded; `others` counts those left out. */
#include "query/audit.h"

#include "query/run.h"

#define TEXT_SIZE 128 /* longer ones are cut */
#define LINES_BURST 20
#define LINES_PERIOD_US 1000000

/* Between quotes: nothing in it ends them. */
static const char *quotable(struct slice text, char out[TEXT_SIZE])
{
    size_t size = 0;
    for (; size < text.size && size < TEXT_SIZE - 1; size++)
        out[size] = text.data[size] == '"' || text.data[size] == '\\' ? '?' : text.data[size];
    out[size] = 0;
    return out;
}

static struct slice role_of(const struct asker *asker)
{
    return asker == NULL ? SLICE("") : asker->name;
}

static void print_rights(uint32_t rights, struct writer *out)
{
    static const char *const names[] = {"SELECT", "INSERT", "TRUNCATE"};
    size_t count = 0;
    for (size_t i = 0; i < array_count(names); i++)
        if ((rights & (1u << i)) != 0)
            writer_printf(out, "%s%s", count++ > 0 ? "," : "", names[i]);
}

/* What a statement acts on, one field a name; long lists are cut. */
static void print_names(const char *key, const struct slice *names, size_t count,
                        struct writer *out)
{
    char text[TEXT_SIZE];
    for (size_t i = 0; i < count && i < 16; i++)
        writer_printf(out, " %s=\"%s\"", key, quotable(names[i], text));
    if (count > 16)
        writer_printf(out, " more=%zu", count - 16);
}

static void print_role_change(const struct command *command, struct writer *out)
{
    const struct command_role *role = &command->role;
    bool is_grant = command->kind == COMMAND_GRANT;
    print_names(is_grant ? "role_to" : "name", role->names, role->name_count, out);
    if (is_grant) {
        writer_cstr(out, " rights=");
        print_rights(role->rights, out);
    }
    if (is_grant && role->is_all_tables)
        writer_cstr(out, " name=all");
    if (role->kind.size > 0)
        writer_printf(out, " kind=%.*s", SLICE_ARGS(role->kind));
    if (role->has_password)
        writer_printf(out, " password=%s", role->password.size > 0 ? "set" : "none");
}

void run_log_command(const struct run *run, enum err result, const struct error *error)
{
    const struct command *command = run->statement->command;
    struct slice single = command->table.size > 0          ? command->table
                          : command->subscription.size > 0 ? command->subscription
                                                           : command->view.name;
    char role[TEXT_SIZE], client[TEXT_SIZE];
    struct writer names;
    writer_init(&names);
    print_names("name", command->tables, command->table_count, &names);
    if (single.size > 0 && command->table_count == 0)
        print_names("name", &single, 1, &names);
    print_role_change(command, &names);
    writer_u8(&names, 0);
    logger_write(LOG_INFO, "command %s role=\"%s\" client=\"%s\" what=\"%s\"%s%s%s",
                 result == OK ? "ok" : "failed", quotable(role_of(run->request->asker), role),
                 quotable(run->request->client, client), run->statement->command_tag,
                 (const char *)names.data,
                 result == OK ? "" : " sqlstate=", result == OK ? "" : error->sqlstate);
    writer_deinit(&names);
}

void audit_refusal(struct logger_limit *limit, const struct asker *asker, struct slice client,
                   const char *reason)
{
    char role[TEXT_SIZE], from[TEXT_SIZE], why[TEXT_SIZE];
    uint64_t held;
    if (asker == NULL || !logger_limit_pass(limit, LINES_BURST, LINES_PERIOD_US, &held))
        return;
    logger_write(LOG_WARN, "command refused role=\"%s\" client=\"%s\" reason=\"%s\" others=%llu",
                 quotable(role_of(asker), role), quotable(client, from),
                 quotable(slice_from_cstr(reason), why), (unsigned long long)held);
}

void audit_creation(struct logger_limit *limit, const struct asker *asker, struct slice client,
                    struct slice table)
{
    char role[TEXT_SIZE], from[TEXT_SIZE], name[TEXT_SIZE];
    uint64_t held;
    if (!logger_limit_pass(limit, LINES_BURST, LINES_PERIOD_US, &held))
        return;
    logger_write(
        LOG_INFO,
        "command begun role=\"%s\" client=\"%s\" what=\"CREATE TABLE by rows\" name=\"%s\" "
        "others=%llu",
        quotable(role_of(asker), role), quotable(client, from), quotable(table, name),
        (unsigned long long)held);
}
