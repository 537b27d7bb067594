/* JSON texts as jsonb writes them: what is equal as jsonb is then equal as text.
 *
 * A text becomes a tree in the arena, objects are sorted (by length of the key, then its bytes; a
 * stable merge sort over the list, so that of equal keys the last is known) and the tree is
 * written. Depth is bounded by the parser; time is that of the sort. */
#include "query/func/json.h"

#include "storage/base/numeric.h"

#include <string.h>

static int compare_keys(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return a.size == 0 ? 0 : memcmp(a.data, b.data, a.size);
}

/* Sorted, later ones of equal keys after earlier ones. */
static struct json_value *sort_members(struct json_value *first, size_t count)
{
    if (count < 2)
        return first;
    struct json_value *middle = first, head = {0}, *tail = &head;
    for (size_t i = 1; i < count / 2; i++)
        middle = middle->next;
    struct json_value *right = middle->next;
    middle->next = NULL;
    struct json_value *left = sort_members(first, count / 2);
    right = sort_members(right, count - count / 2);
    while (left != NULL && right != NULL) {
        struct json_value **taken = compare_keys(left->key, right->key) <= 0 ? &left : &right;
        tail->next = *taken;
        tail = *taken;
        *taken = (*taken)->next;
    }
    tail->next = left != NULL ? left : right;
    return head.next;
}

static void sort_object(struct json_value *object)
{
    struct json_value *first = sort_members(object->child, object->count);
    struct json_value **place = &first;
    while (*place != NULL) {
        struct json_value *next = (*place)->next;
        if (next != NULL && compare_keys((*place)->key, next->key) == 0) {
            *place = next;
            object->count--;
        } else {
            place = &(*place)->next;
        }
    }
    object->child = first;
}

void jsonb_sort(struct json_value *value)
{
    if (value->kind == JSON_OBJECT_BEGIN)
        sort_object(value);
    for (struct json_value *child = value->child; child != NULL; child = child->next)
        jsonb_sort(child);
}

/* 1e3 is 1000, 1.50 stays; what numeric cannot hold stays as it was written. */
static void write_number(struct slice text, struct writer *out)
{
    struct numeric number;
    bool is_plain = memchr(text.data, 'e', text.size) == NULL &&
                    memchr(text.data, 'E', text.size) == NULL && text.data[0] != '-';
    if (is_plain || numeric_parse(text, &number, NULL) != OK)
        writer_slice(out, text);
    else
        numeric_print(number, out);
}

void jsonb_write(const struct json_value *value, struct writer *out)
{
    bool is_object = value->kind == JSON_OBJECT_BEGIN;
    switch (value->kind) {
    case JSON_OBJECT_BEGIN:
    case JSON_ARRAY_BEGIN:
        writer_u8(out, is_object ? '{' : '[');
        for (const struct json_value *child = value->child; child != NULL; child = child->next) {
            if (child != value->child)
                writer_cstr(out, ", ");
            if (is_object) {
                json_write_string(out, child->key);
                writer_cstr(out, ": ");
            }
            jsonb_write(child, out);
        }
        writer_u8(out, is_object ? '}' : ']');
        break;
    case JSON_STRING:
        json_write_string(out, value->text);
        break;
    case JSON_NUMBER:
        write_number(value->text, out);
        break;
    case JSON_TRUE:
        writer_cstr(out, "true");
        break;
    case JSON_FALSE:
        writer_cstr(out, "false");
        break;
    default:
        writer_cstr(out, "null");
        break;
    }
}

enum err jsonb_room(struct budget *budget, struct slice text, struct error *error)
{
    size_t nodes = 1; /* no fewer than the parser will make: those in strings count too */
    for (size_t i = 0; i < text.size; i++)
        nodes += text.data[i] == ',' || text.data[i] == '[' || text.data[i] == '{';
    enum err err =
        budget == NULL ? OK : budget_charge(budget, nodes * sizeof(struct json_value), error);
    if (err == OK && budget != NULL)
        budget_release(budget, nodes * sizeof(struct json_value));
    return err;
}

enum err jsonb_normalize(struct slice text, struct arena *arena, struct slice *out,
                         struct error *error)
{
    struct json_value *tree;
    enum err err = json_parse(text, arena, JSON_DEPTH_MAX, &tree, error);
    if (err != OK)
        return err;
    struct writer writer;
    writer_init(&writer);
    jsonb_sort(tree);
    jsonb_write(tree, &writer);
    *out = arena_copy(arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return OK;
}
