/* PostgreSQL's types: what pg_type says of those that its own tables and ours have, and how they
 * are written. */
#include "query/func/catalog.h"

#include "storage/column/binary_form.h"

#include <ctype.h>
#include <string.h>

/* clang-format off */
const struct catalog_type catalog_types[] = {
    {16, "bool", 1, 'b', 'B', true, 0, 1000, "boolin", "boolout", 0, 'c', 'p', true},
    {17, "bytea", -1, 'b', 'U', false, 0, 1001, "byteain", "byteaout", 0, 'i', 'x', false},
    {18, "char", 1, 'b', 'Z', false, 0, 1002, "charin", "charout", 0, 'c', 'p', true},
    {19, "name", 64, 'b', 'S', false, 18, 1003, "namein", "nameout", 950, 'c', 'p', false},
    {20, "int8", 8, 'b', 'N', false, 0, 1016, "int8in", "int8out", 0, 'd', 'p', true},
    {21, "int2", 2, 'b', 'N', false, 0, 1005, "int2in", "int2out", 0, 's', 'p', true},
    {22, "int2vector", -1, 'b', 'A', false, 21, 1006, "int2vectorin", "int2vectorout", 0, 'i', 'p', false},
    {23, "int4", 4, 'b', 'N', false, 0, 1007, "int4in", "int4out", 0, 'i', 'p', true},
    {24, "regproc", 4, 'b', 'N', false, 0, 1008, "regprocin", "regprocout", 0, 'i', 'p', true},
    {25, "text", -1, 'b', 'S', true, 0, 1009, "textin", "textout", 100, 'i', 'x', false},
    {26, "oid", 4, 'b', 'N', true, 0, 1028, "oidin", "oidout", 0, 'i', 'p', true},
    {28, "xid", 4, 'b', 'U', false, 0, 1011, "xidin", "xidout", 0, 'i', 'p', true},
    {30, "oidvector", -1, 'b', 'A', false, 26, 1013, "oidvectorin", "oidvectorout", 0, 'i', 'p', false},
    {114, "json", -1, 'b', 'U', false, 0, 199, "json_in", "json_out", 0, 'i', 'x', false},
    {142, "xml", -1, 'b', 'U', false, 0, 143, "xml_in", "xml_out", 0, 'i', 'x', false},
    {143, "_xml", -1, 'b', 'A', false, 142, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {199, "_json", -1, 'b', 'A', false, 114, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {600, "point", 16, 'b', 'G', false, 701, 1017, "point_in", "point_out", 0, 'd', 'p', false},
    {650, "cidr", -1, 'b', 'I', false, 0, 651, "cidr_in", "cidr_out", 0, 'i', 'm', false},
    {651, "_cidr", -1, 'b', 'A', false, 650, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {700, "float4", 4, 'b', 'N', false, 0, 1021, "float4in", "float4out", 0, 'i', 'p', true},
    {701, "float8", 8, 'b', 'N', true, 0, 1022, "float8in", "float8out", 0, 'd', 'p', true},
    {705, "unknown", -2, 'p', 'X', false, 0, 0, "unknownin", "unknownout", 0, 'c', 'p', false},
    {790, "money", 8, 'b', 'N', false, 0, 791, "cash_in", "cash_out", 0, 'd', 'p', true},
    {791, "_money", -1, 'b', 'A', false, 790, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {829, "macaddr", 6, 'b', 'U', false, 0, 1040, "macaddr_in", "macaddr_out", 0, 'i', 'p', false},
    {869, "inet", -1, 'b', 'I', true, 0, 1041, "inet_in", "inet_out", 0, 'i', 'm', false},
    {1000, "_bool", -1, 'b', 'A', false, 16, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1001, "_bytea", -1, 'b', 'A', false, 17, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1002, "_char", -1, 'b', 'A', false, 18, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1003, "_name", -1, 'b', 'A', false, 19, 0, "array_in", "array_out", 950, 'i', 'x', false},
    {1005, "_int2", -1, 'b', 'A', false, 21, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1006, "_int2vector", -1, 'b', 'A', false, 22, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1007, "_int4", -1, 'b', 'A', false, 23, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1008, "_regproc", -1, 'b', 'A', false, 24, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1009, "_text", -1, 'b', 'A', false, 25, 0, "array_in", "array_out", 100, 'i', 'x', false},
    {1011, "_xid", -1, 'b', 'A', false, 28, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1013, "_oidvector", -1, 'b', 'A', false, 30, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1014, "_bpchar", -1, 'b', 'A', false, 1042, 0, "array_in", "array_out", 100, 'i', 'x', false},
    {1015, "_varchar", -1, 'b', 'A', false, 1043, 0, "array_in", "array_out", 100, 'i', 'x', false},
    {1016, "_int8", -1, 'b', 'A', false, 20, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1017, "_point", -1, 'b', 'A', false, 600, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1021, "_float4", -1, 'b', 'A', false, 700, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1022, "_float8", -1, 'b', 'A', false, 701, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1028, "_oid", -1, 'b', 'A', false, 26, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1040, "_macaddr", -1, 'b', 'A', false, 829, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1041, "_inet", -1, 'b', 'A', false, 869, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1042, "bpchar", -1, 'b', 'S', false, 0, 1014, "bpcharin", "bpcharout", 100, 'i', 'x', false},
    {1043, "varchar", -1, 'b', 'S', false, 0, 1015, "varcharin", "varcharout", 100, 'i', 'x', false},
    {1082, "date", 4, 'b', 'D', false, 0, 1182, "date_in", "date_out", 0, 'i', 'p', true},
    {1083, "time", 8, 'b', 'D', false, 0, 1183, "time_in", "time_out", 0, 'd', 'p', true},
    {1114, "timestamp", 8, 'b', 'D', false, 0, 1115, "timestamp_in", "timestamp_out", 0, 'd', 'p', true},
    {1115, "_timestamp", -1, 'b', 'A', false, 1114, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1182, "_date", -1, 'b', 'A', false, 1082, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1183, "_time", -1, 'b', 'A', false, 1083, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1184, "timestamptz", 8, 'b', 'D', true, 0, 1185, "timestamptz_in", "timestamptz_out", 0, 'd', 'p', true},
    {1185, "_timestamptz", -1, 'b', 'A', false, 1184, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1186, "interval", 16, 'b', 'T', true, 0, 1187, "interval_in", "interval_out", 0, 'd', 'p', false},
    {1187, "_interval", -1, 'b', 'A', false, 1186, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1231, "_numeric", -1, 'b', 'A', false, 1700, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1266, "timetz", 12, 'b', 'D', false, 0, 1270, "timetz_in", "timetz_out", 0, 'd', 'p', false},
    {1270, "_timetz", -1, 'b', 'A', false, 1266, 0, "array_in", "array_out", 0, 'd', 'x', false},
    {1560, "bit", -1, 'b', 'V', false, 0, 1561, "bit_in", "bit_out", 0, 'i', 'x', false},
    {1561, "_bit", -1, 'b', 'A', false, 1560, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1562, "varbit", -1, 'b', 'V', true, 0, 1563, "varbit_in", "varbit_out", 0, 'i', 'x', false},
    {1563, "_varbit", -1, 'b', 'A', false, 1562, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {1700, "numeric", -1, 'b', 'N', false, 0, 1231, "numeric_in", "numeric_out", 0, 'i', 'm', false},
    {2205, "regclass", 4, 'b', 'N', false, 0, 2210, "regclassin", "regclassout", 0, 'i', 'p', true},
    {2206, "regtype", 4, 'b', 'N', false, 0, 2211, "regtypein", "regtypeout", 0, 'i', 'p', true},
    {2210, "_regclass", -1, 'b', 'A', false, 2205, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {2211, "_regtype", -1, 'b', 'A', false, 2206, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {2249, "record", -1, 'p', 'P', false, 0, 2287, "record_in", "record_out", 0, 'd', 'x', false},
    {2276, "any", 4, 'p', 'P', false, 0, 0, "any_in", "any_out", 0, 'i', 'p', true},
    {2277, "anyarray", -1, 'p', 'P', false, 0, 0, "anyarray_in", "anyarray_out", 0, 'd', 'x', false},
    {2278, "void", 4, 'p', 'P', false, 0, 0, "void_in", "void_out", 0, 'i', 'p', true},
    {2283, "anyelement", 4, 'p', 'P', false, 0, 0, "anyelement_in", "anyelement_out", 0, 'i', 'p', true},
    {2776, "anynonarray", 4, 'p', 'P', false, 0, 0, "anynonarray_in", "anynonarray_out", 0, 'i', 'p', true},
    {2950, "uuid", 16, 'b', 'U', false, 0, 2951, "uuid_in", "uuid_out", 0, 'c', 'p', false},
    {2951, "_uuid", -1, 'b', 'A', false, 2950, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {3614, "tsvector", -1, 'b', 'U', false, 0, 3643, "tsvectorin", "tsvectorout", 0, 'i', 'x', false},
    {3643, "_tsvector", -1, 'b', 'A', false, 3614, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {3802, "jsonb", -1, 'b', 'U', false, 0, 3807, "jsonb_in", "jsonb_out", 0, 'i', 'x', false},
    {3807, "_jsonb", -1, 'b', 'A', false, 3802, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {4089, "regnamespace", 4, 'b', 'N', false, 0, 4090, "regnamespacein", "regnamespaceout", 0, 'i', 'p', true},
    {4090, "_regnamespace", -1, 'b', 'A', false, 4089, 0, "array_in", "array_out", 0, 'i', 'x', false},
    {4096, "regrole", 4, 'b', 'N', false, 0, 4097, "regrolein", "regroleout", 0, 'i', 'p', true},
    {4097, "_regrole", -1, 'b', 'A', false, 4096, 0, "array_in", "array_out", 0, 'i', 'x', false},
};
/* clang-format on */
const size_t catalog_type_count = array_count(catalog_types);

/* As SQL writes them, where that is not pg_type's name. */
static const struct {
    const char *name, *written;
} spellings[] = {
    {"bool", "boolean"},
    {"int2", "smallint"},
    {"int4", "integer"},
    {"int8", "bigint"},
    {"float4", "real"},
    {"float8", "double precision"},
    {"varchar", "character varying"},
    {"bpchar", "character"},
    {"char", "\"char\""},
    {"timestamp", "timestamp without time zone"},
    {"timestamptz", "timestamp with time zone"},
    {"time", "time without time zone"},
    {"timetz", "time with time zone"},
    {"varbit", "bit varying"},
    {"any", "\"any\""},
};

const struct catalog_type *catalog_type_by_oid(int64_t oid)
{
    for (size_t index = 0; index < catalog_type_count; index++)
        if (catalog_types[index].oid == oid)
            return &catalog_types[index];
    return NULL;
}

static const struct catalog_type *by_plain_name(struct slice name)
{
    const char *plain = NULL;
    enum type_id ours;
    for (size_t index = 0; index < array_count(spellings); index++)
        if (slice_equal_ignore_case(name, slice_from_cstr(spellings[index].written)))
            plain = spellings[index].name;
    for (size_t index = 0; index < catalog_type_count; index++)
        if (slice_equal_ignore_case(
                name, slice_from_cstr(plain != NULL ? plain : catalog_types[index].name)) ||
            (plain != NULL && strcmp(plain, catalog_types[index].name) == 0))
            if (plain == NULL || strcmp(plain, catalog_types[index].name) == 0)
                return &catalog_types[index];
    return type_find(name, &ours) ? catalog_type_by_oid(catalog_type_oid(ours)) : NULL;
}

const struct catalog_type *catalog_type_by_name(struct slice name)
{
    bool is_array = name.size > 2 && memcmp(name.data + name.size - 2, "[]", 2) == 0;
    if (slice_starts_with(name, SLICE("pg_catalog.")))
        name = slice_of(name.data + 11, name.size - 11);
    if (!is_array)
        return by_plain_name(name);
    const struct catalog_type *element = by_plain_name(slice_of(name.data, name.size - 2));
    return element == NULL ? NULL : catalog_type_by_oid(element->array);
}

int64_t catalog_type_oid(enum type_id type)
{
    return type_oid(type);
}

int64_t catalog_type_modifier(struct type type)
{
    if (type.id == TYPE_VARCHAR && type.length > 0)
        return (int64_t)type.length + 4;
    if (type.id == TYPE_NUMERIC && type.precision > 0)
        return ((int64_t)type.precision << 16 | type.scale) + 4;
    return -1;
}

void catalog_type_print(int64_t oid, int64_t modifier, struct writer *out)
{
    const struct catalog_type *type = catalog_type_by_oid(oid);
    if (type == NULL) {
        writer_printf(out, "%s", oid == 0 ? "-" : "???");
        return;
    }
    if (type->category == 'A' && type->name[0] == '_') {
        catalog_type_print(type->element, modifier, out);
        writer_printf(out, "[]");
        return;
    }
    const char *written = type->name;
    for (size_t index = 0; index < array_count(spellings); index++)
        if (strcmp(type->name, spellings[index].name) == 0)
            written = spellings[index].written;
    writer_printf(out, "%s", written);
    if (modifier < 4)
        return;
    if (strcmp(type->name, "varchar") == 0 || strcmp(type->name, "bpchar") == 0)
        writer_printf(out, "(%lld)", (long long)modifier - 4);
    else if (strcmp(type->name, "numeric") == 0)
        writer_printf(out, "(%lld,%lld)", (long long)((modifier - 4) >> 16) & 0xFFFF,
                      (long long)(modifier - 4) & 0x7FF);
}

/* --- settings --- */

/* What is fixed is answered here when the engine does not know the name. */
const struct catalog_setting catalog_settings[] = {
    {"client_encoding", "UTF8", "The client's character set encoding."},
    {"datestyle", "ISO, MDY", "The form of dates and times."},
    {"freshet.copy_errors", NULL, "What a bad row of a COPY does: dead_letter or abort."},
    {"freshet.max_rows", NULL, "Most rows of a result; more is an error."},
    {"freshet.partial_cache", NULL, "Whether partial results of earlier queries may be used."},
    {"freshet.producer", NULL, "The producer of rows sent by COPY."},
    {"freshet.query_memory", NULL, "Most memory of a query."},
    {"freshet.rollups", NULL, "Whether rollups may answer queries of their tables."},
    {"freshet.sequence", NULL, "The sequence of rows sent by COPY."},
    {"freshet.threads", NULL, "Most threads of a query."},
    {"integer_datetimes", "on", "Times are integers."},
    {"intervalstyle", "postgres", "The form of intervals."},
    {"jit", "off", "Expressions are not compiled to machine code."},
    {"lc_collate", "C", "The order of texts."},
    {"default_transaction_isolation", "repeatable read", "Each statement sees one snapshot."},
    {"default_transaction_read_only", "off", "Statements may write."},
    {"default_table_access_method", "heap", "How tables are kept, as PostgreSQL says it."},
    {"max_identifier_length", "63", "Most bytes of a name."},
    {"max_index_keys", "32", "Most columns of an index."},
    {"password_encryption", "scram-sha-256", "How passwords are kept."},
    {"search_path", "public", "Where names without a schema are looked for."},
    {"server_encoding", "UTF8", "The server's character set encoding."},
    {"server_version", "15.0", "The version of PostgreSQL whose SQL this is."},
    {"server_version_num", "150000", "The same as a number."},
    {"standard_conforming_strings", "on", "Backslashes in '…' are plain."},
    {"statement_timeout", NULL, "Most time of a statement."},
    {"timezone", NULL, "The time zone of texts without one."},
    {"transaction_isolation", "repeatable read", "Each statement sees one snapshot."},
};

const size_t catalog_setting_count = array_count(catalog_settings);

/* --- relations --- */

size_t catalog_relation_count(void)
{
    return catalog_tables_count + catalog_views_count + catalog_information_count;
}

const struct catalog_relation *catalog_relation(size_t index)
{
    if (index < catalog_tables_count)
        return &catalog_tables[index];
    index -= catalog_tables_count;
    return index < catalog_views_count ? &catalog_views[index]
                                       : &catalog_information[index - catalog_views_count];
}

const struct catalog_relation *catalog_relation_by_oid(int64_t oid)
{
    for (size_t index = 0; index < catalog_relation_count(); index++)
        if (catalog_relation(index)->oid == oid)
            return catalog_relation(index);
    return NULL;
}

const struct catalog_relation *catalog_relation_by_name(struct slice schema, struct slice name)
{
    for (size_t index = 0; index < catalog_relation_count(); index++)
        if (slice_equal(name, slice_from_cstr(catalog_relation(index)->name)) &&
            slice_equal(schema, slice_from_cstr(catalog_relation(index)->schema)))
            return catalog_relation(index);
    return NULL;
}

/* --- names --- */

/* One identifier at *offset: folded, or as it stands in double quotes. */
static bool parse_part(struct slice text, size_t *offset, struct arena *arena, struct slice *out)
{
    char *part = arena_alloc(arena, text.size + 1);
    size_t size = 0, at = *offset;
    if (at < text.size && text.data[at] == '"') {
        for (at++; at < text.size; at++) {
            if (text.data[at] == '"' && (at + 1 >= text.size || text.data[at + 1] != '"'))
                break;
            at += text.data[at] == '"';
            part[size++] = text.data[at];
        }
        if (at >= text.size)
            return false;
        at++;
    } else {
        if (at < text.size && (isdigit((unsigned char)text.data[at]) || text.data[at] == '$'))
            return false;
        for (; at < text.size && (isalnum((unsigned char)text.data[at]) || text.data[at] == '_' ||
                                  text.data[at] == '$' || (unsigned char)text.data[at] >= 0x80);
             at++)
            part[size++] = (char)tolower((unsigned char)text.data[at]);
    }
    *offset = at;
    *out = slice_of(part, size);
    return size > 0;
}

static void skip_blanks(struct slice text, size_t *offset)
{
    while (*offset < text.size && isspace((unsigned char)text.data[*offset]))
        (*offset)++;
}

size_t catalog_parse_path(struct slice text, struct arena *arena, struct slice *parts,
                          size_t part_max, size_t *used)
{
    size_t offset = 0, count = 0;
    for (;;) {
        skip_blanks(text, &offset);
        if (count == part_max || !parse_part(text, &offset, arena, &parts[count]))
            return 0;
        count++;
        skip_blanks(text, &offset);
        if (offset >= text.size || text.data[offset] != '.')
            break;
        offset++;
    }
    *used = offset;
    return count;
}

bool catalog_parse_name(struct slice text, struct arena *arena, struct slice *schema,
                        struct slice *name)
{
    struct slice parts[3];
    size_t used, count = catalog_parse_path(text, arena, parts, array_count(parts), &used);
    if (count == 0 || used < text.size ||
        (count == 3 && !slice_equal(parts[0], SLICE(CATALOG_DATABASE))))
        return false;
    *schema = count > 1 ? parts[count - 2] : SLICE("");
    *name = parts[count - 1];
    return true;
}
