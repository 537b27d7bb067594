/* The relations of information_schema: names, types and what a cell is unless a row says otherwise.
 *
 * name:letter, then * for a column without NULLs or =text for a value that most rows have (spaces
 * as ~). Letters: o oid, n name, c "char", t text, b boolean, i integer, s smallint, l bigint, x
 * xid, f real, d double, z timestamptz, v interval, p regproc, T text[], I int2vector, O oidvector.
 * Columns, their order and the numbers of relations are PostgreSQL 15's: tools ask for .* and read
 * by place. */
#include "query/func/catalog.h"

/* clang-format off */
const struct catalog_relation catalog_information[] = {
    {"information_schema", "administrable_role_authorizations", 13241, 'v',
     "grantee:n role_name:n is_grantable:t"},
    {"information_schema", "applicable_roles", 13236, 'v',
     "grantee:n role_name:n is_grantable:t"},
    {"information_schema", "attributes", 13245, 'v',
     "udt_catalog:n udt_schema:n udt_name:n attribute_name:n ordinal_position:i "
     "attribute_default:t is_nullable:t data_type:t character_maximum_length:i "
     "character_octet_length:i character_set_catalog:n character_set_schema:n "
     "character_set_name:n collation_catalog:n collation_schema:n collation_name:n "
     "numeric_precision:i numeric_precision_radix:i numeric_scale:i datetime_precision:i "
     "interval_type:t interval_precision:i attribute_udt_catalog:n attribute_udt_schema:n "
     "attribute_udt_name:n scope_catalog:n scope_schema:n scope_name:n "
     "maximum_cardinality:i dtd_identifier:n is_derived_reference_attribute:t"},
    {"information_schema", "character_sets", 13250, 'v',
     "character_set_catalog:n character_set_schema:n character_set_name:n=UTF8 "
     "character_repertoire:n=UCS form_of_use:n=UTF8 default_collate_catalog:n=freshet "
     "default_collate_schema:n=pg_catalog default_collate_name:n=C"},
    {"information_schema", "check_constraint_routine_usage", 13255, 'v',
     "constraint_catalog:n constraint_schema:n constraint_name:n specific_catalog:n "
     "specific_schema:n specific_name:n"},
    {"information_schema", "check_constraints", 13260, 'v',
     "constraint_catalog:n constraint_schema:n constraint_name:n check_clause:t"},
    {"information_schema", "collation_character_set_applicability", 13270, 'v',
     "collation_catalog:n collation_schema:n collation_name:n character_set_catalog:n "
     "character_set_schema:n character_set_name:n"},
    {"information_schema", "collations", 13265, 'v',
     "collation_catalog:n collation_schema:n collation_name:n pad_attribute:t"},
    {"information_schema", "column_column_usage", 13275, 'v',
     "table_catalog:n table_schema:n table_name:n column_name:n dependent_column:n"},
    {"information_schema", "column_domain_usage", 13280, 'v',
     "domain_catalog:n domain_schema:n domain_name:n table_catalog:n table_schema:n "
     "table_name:n column_name:n"},
    {"information_schema", "column_options", 13503, 'v',
     "table_catalog:n table_schema:n table_name:n column_name:n option_name:n "
     "option_value:t"},
    {"information_schema", "column_privileges", 13285, 'v',
     "grantor:n grantee:n table_catalog:n table_schema:n table_name:n column_name:n "
     "privilege_type:t is_grantable:t"},
    {"information_schema", "column_udt_usage", 13290, 'v',
     "udt_catalog:n udt_schema:n udt_name:n table_catalog:n table_schema:n table_name:n "
     "column_name:n"},
    {"information_schema", "columns", 13295, 'v',
     "table_catalog:n=freshet table_schema:n table_name:n column_name:n ordinal_position:i "
     "column_default:t is_nullable:t data_type:t character_maximum_length:i "
     "character_octet_length:i numeric_precision:i numeric_precision_radix:i "
     "numeric_scale:i datetime_precision:i interval_type:t interval_precision:i "
     "character_set_catalog:n character_set_schema:n character_set_name:n "
     "collation_catalog:n collation_schema:n collation_name:n domain_catalog:n "
     "domain_schema:n domain_name:n udt_catalog:n=freshet udt_schema:n=pg_catalog "
     "udt_name:n scope_catalog:n scope_schema:n scope_name:n maximum_cardinality:i "
     "dtd_identifier:n is_self_referencing:t=NO is_identity:t=NO identity_generation:t "
     "identity_start:t identity_increment:t identity_maximum:t identity_minimum:t "
     "identity_cycle:t=NO is_generated:t=NEVER generation_expression:t is_updatable:t=YES"},
    {"information_schema", "constraint_column_usage", 13300, 'v',
     "table_catalog:n table_schema:n table_name:n column_name:n constraint_catalog:n "
     "constraint_schema:n constraint_name:n"},
    {"information_schema", "constraint_table_usage", 13305, 'v',
     "table_catalog:n table_schema:n table_name:n constraint_catalog:n constraint_schema:n "
     "constraint_name:n"},
    {"information_schema", "data_type_privileges", 13488, 'v',
     "object_catalog:n object_schema:n object_name:n object_type:t dtd_identifier:n"},
    {"information_schema", "domain_constraints", 13310, 'v',
     "constraint_catalog:n constraint_schema:n constraint_name:n domain_catalog:n "
     "domain_schema:n domain_name:n is_deferrable:t initially_deferred:t"},
    {"information_schema", "domain_udt_usage", 13315, 'v',
     "udt_catalog:n udt_schema:n udt_name:n domain_catalog:n domain_schema:n domain_name:n"},
    {"information_schema", "domains", 13320, 'v',
     "domain_catalog:n domain_schema:n domain_name:n data_type:t "
     "character_maximum_length:i character_octet_length:i character_set_catalog:n "
     "character_set_schema:n character_set_name:n collation_catalog:n collation_schema:n "
     "collation_name:n numeric_precision:i numeric_precision_radix:i numeric_scale:i "
     "datetime_precision:i interval_type:t interval_precision:i domain_default:t "
     "udt_catalog:n udt_schema:n udt_name:n scope_catalog:n scope_schema:n scope_name:n "
     "maximum_cardinality:i dtd_identifier:n"},
    {"information_schema", "element_types", 13493, 'v',
     "object_catalog:n object_schema:n object_name:n object_type:t "
     "collection_type_identifier:n data_type:t character_maximum_length:i "
     "character_octet_length:i character_set_catalog:n character_set_schema:n "
     "character_set_name:n collation_catalog:n collation_schema:n collation_name:n "
     "numeric_precision:i numeric_precision_radix:i numeric_scale:i datetime_precision:i "
     "interval_type:t interval_precision:i domain_default:t udt_catalog:n udt_schema:n "
     "udt_name:n scope_catalog:n scope_schema:n scope_name:n maximum_cardinality:i "
     "dtd_identifier:n"},
    {"information_schema", "enabled_roles", 13325, 'v',
     "role_name:n"},
    {"information_schema", "foreign_data_wrapper_options", 13511, 'v',
     "foreign_data_wrapper_catalog:n foreign_data_wrapper_name:n option_name:n "
     "option_value:t"},
    {"information_schema", "foreign_data_wrappers", 13515, 'v',
     "foreign_data_wrapper_catalog:n foreign_data_wrapper_name:n "
     "authorization_identifier:n library_name:t foreign_data_wrapper_language:t"},
    {"information_schema", "foreign_server_options", 13524, 'v',
     "foreign_server_catalog:n foreign_server_name:n option_name:n option_value:t"},
    {"information_schema", "foreign_servers", 13528, 'v',
     "foreign_server_catalog:n foreign_server_name:n foreign_data_wrapper_catalog:n "
     "foreign_data_wrapper_name:n foreign_server_type:t foreign_server_version:t "
     "authorization_identifier:n"},
    {"information_schema", "foreign_table_options", 13537, 'v',
     "foreign_table_catalog:n foreign_table_schema:n foreign_table_name:n option_name:n "
     "option_value:t"},
    {"information_schema", "foreign_tables", 13541, 'v',
     "foreign_table_catalog:n foreign_table_schema:n foreign_table_name:n "
     "foreign_server_catalog:n foreign_server_name:n"},
    {"information_schema", "information_schema_catalog_name", 13227, 'v',
     "catalog_name:n"},
    {"information_schema", "key_column_usage", 13329, 'v',
     "constraint_catalog:n constraint_schema:n constraint_name:n table_catalog:n "
     "table_schema:n table_name:n column_name:n ordinal_position:i "
     "position_in_unique_constraint:i"},
    {"information_schema", "parameters", 13334, 'v',
     "specific_catalog:n specific_schema:n specific_name:n ordinal_position:i "
     "parameter_mode:t is_result:t as_locator:t parameter_name:n data_type:t "
     "character_maximum_length:i character_octet_length:i character_set_catalog:n "
     "character_set_schema:n character_set_name:n collation_catalog:n collation_schema:n "
     "collation_name:n numeric_precision:i numeric_precision_radix:i numeric_scale:i "
     "datetime_precision:i interval_type:t interval_precision:i udt_catalog:n udt_schema:n "
     "udt_name:n scope_catalog:n scope_schema:n scope_name:n maximum_cardinality:i "
     "dtd_identifier:n parameter_default:t"},
    {"information_schema", "referential_constraints", 13339, 'v',
     "constraint_catalog:n constraint_schema:n constraint_name:n "
     "unique_constraint_catalog:n unique_constraint_schema:n unique_constraint_name:n "
     "match_option:t update_rule:t delete_rule:t"},
    {"information_schema", "role_column_grants", 13344, 'v',
     "grantor:n grantee:n table_catalog:n table_schema:n table_name:n column_name:n "
     "privilege_type:t is_grantable:t"},
    {"information_schema", "role_routine_grants", 13358, 'v',
     "grantor:n grantee:n specific_catalog:n specific_schema:n specific_name:n "
     "routine_catalog:n routine_schema:n routine_name:n privilege_type:t is_grantable:t"},
    {"information_schema", "role_table_grants", 13421, 'v',
     "grantor:n grantee:n table_catalog:n table_schema:n table_name:n privilege_type:t "
     "is_grantable:t with_hierarchy:t"},
    {"information_schema", "role_udt_grants", 13450, 'v',
     "grantor:n grantee:n udt_catalog:n udt_schema:n udt_name:n privilege_type:t "
     "is_grantable:t"},
    {"information_schema", "role_usage_grants", 13459, 'v',
     "grantor:n grantee:n object_catalog:n object_schema:n object_name:n object_type:t "
     "privilege_type:t is_grantable:t"},
    {"information_schema", "routine_column_usage", 13348, 'v',
     "specific_catalog:n specific_schema:n specific_name:n routine_catalog:n "
     "routine_schema:n routine_name:n table_catalog:n table_schema:n table_name:n "
     "column_name:n"},
    {"information_schema", "routine_privileges", 13353, 'v',
     "grantor:n grantee:n specific_catalog:n specific_schema:n specific_name:n "
     "routine_catalog:n routine_schema:n routine_name:n privilege_type:t is_grantable:t"},
    {"information_schema", "routine_routine_usage", 13362, 'v',
     "specific_catalog:n specific_schema:n specific_name:n routine_catalog:n "
     "routine_schema:n routine_name:n"},
    {"information_schema", "routine_sequence_usage", 13367, 'v',
     "specific_catalog:n specific_schema:n specific_name:n routine_catalog:n "
     "routine_schema:n routine_name:n sequence_catalog:n sequence_schema:n sequence_name:n"},
    {"information_schema", "routine_table_usage", 13372, 'v',
     "specific_catalog:n specific_schema:n specific_name:n routine_catalog:n "
     "routine_schema:n routine_name:n table_catalog:n table_schema:n table_name:n"},
    {"information_schema", "routines", 13377, 'v',
     "specific_catalog:n specific_schema:n specific_name:n routine_catalog:n "
     "routine_schema:n routine_name:n routine_type:t module_catalog:n module_schema:n "
     "module_name:n udt_catalog:n udt_schema:n udt_name:n data_type:t "
     "character_maximum_length:i character_octet_length:i character_set_catalog:n "
     "character_set_schema:n character_set_name:n collation_catalog:n collation_schema:n "
     "collation_name:n numeric_precision:i numeric_precision_radix:i numeric_scale:i "
     "datetime_precision:i interval_type:t interval_precision:i type_udt_catalog:n "
     "type_udt_schema:n type_udt_name:n scope_catalog:n scope_schema:n scope_name:n "
     "maximum_cardinality:i dtd_identifier:n routine_body:t routine_definition:t "
     "external_name:t external_language:t parameter_style:t is_deterministic:t "
     "sql_data_access:t is_null_call:t sql_path:t schema_level_routine:t "
     "max_dynamic_result_sets:i is_user_defined_cast:t is_implicitly_invocable:t "
     "security_type:t to_sql_specific_catalog:n to_sql_specific_schema:n "
     "to_sql_specific_name:n as_locator:t created:z last_altered:z new_savepoint_level:t "
     "is_udt_dependent:t result_cast_from_data_type:t result_cast_as_locator:t "
     "result_cast_char_max_length:i result_cast_char_octet_length:i "
     "result_cast_char_set_catalog:n result_cast_char_set_schema:n "
     "result_cast_char_set_name:n result_cast_collation_catalog:n "
     "result_cast_collation_schema:n result_cast_collation_name:n "
     "result_cast_numeric_precision:i result_cast_numeric_precision_radix:i "
     "result_cast_numeric_scale:i result_cast_datetime_precision:i "
     "result_cast_interval_type:t result_cast_interval_precision:i "
     "result_cast_type_udt_catalog:n result_cast_type_udt_schema:n "
     "result_cast_type_udt_name:n result_cast_scope_catalog:n result_cast_scope_schema:n "
     "result_cast_scope_name:n result_cast_maximum_cardinality:i "
     "result_cast_dtd_identifier:n"},
    {"information_schema", "schemata", 13382, 'v',
     "catalog_name:n=freshet schema_name:n schema_owner:n=freshet "
     "default_character_set_catalog:n default_character_set_schema:n "
     "default_character_set_name:n sql_path:t"},
    {"information_schema", "sequences", 13386, 'v',
     "sequence_catalog:n sequence_schema:n sequence_name:n data_type:t numeric_precision:i "
     "numeric_precision_radix:i numeric_scale:i start_value:t minimum_value:t "
     "maximum_value:t increment:t cycle_option:t"},
    {"information_schema", "sql_features", 13391, 'r',
     "feature_id:t feature_name:t sub_feature_id:t sub_feature_name:t is_supported:t "
     "is_verified_by:t comments:t"},
    {"information_schema", "sql_implementation_info", 13396, 'r',
     "implementation_info_id:t implementation_info_name:t integer_value:i "
     "character_value:t comments:t"},
    {"information_schema", "sql_parts", 13401, 'r',
     "feature_id:t feature_name:t is_supported:t is_verified_by:t comments:t"},
    {"information_schema", "sql_sizing", 13406, 'r',
     "sizing_id:i sizing_name:t supported_value:i comments:t"},
    {"information_schema", "table_constraints", 13411, 'v',
     "constraint_catalog:n constraint_schema:n constraint_name:n table_catalog:n "
     "table_schema:n table_name:n constraint_type:t is_deferrable:t initially_deferred:t "
     "enforced:t nulls_distinct:t"},
    {"information_schema", "table_privileges", 13416, 'v',
     "grantor:n grantee:n table_catalog:n table_schema:n table_name:n privilege_type:t "
     "is_grantable:t with_hierarchy:t"},
    {"information_schema", "tables", 13425, 'v',
     "table_catalog:n=freshet table_schema:n table_name:n table_type:t=BASE~TABLE "
     "self_referencing_column_name:n reference_generation:t user_defined_type_catalog:n "
     "user_defined_type_schema:n user_defined_type_name:n is_insertable_into:t=YES "
     "is_typed:t=NO commit_action:t"},
    {"information_schema", "triggered_update_columns", 13435, 'v',
     "trigger_catalog:n trigger_schema:n trigger_name:n event_object_catalog:n "
     "event_object_schema:n event_object_table:n event_object_column:n"},
    {"information_schema", "triggers", 13440, 'v',
     "trigger_catalog:n trigger_schema:n trigger_name:n event_manipulation:t "
     "event_object_catalog:n event_object_schema:n event_object_table:n action_order:i "
     "action_condition:t action_statement:t action_orientation:t action_timing:t "
     "action_reference_old_table:n action_reference_new_table:n action_reference_old_row:n "
     "action_reference_new_row:n created:z"},
    {"information_schema", "udt_privileges", 13445, 'v',
     "grantor:n grantee:n udt_catalog:n udt_schema:n udt_name:n privilege_type:t "
     "is_grantable:t"},
    {"information_schema", "usage_privileges", 13454, 'v',
     "grantor:n grantee:n object_catalog:n object_schema:n object_name:n object_type:t "
     "privilege_type:t is_grantable:t"},
    {"information_schema", "user_mapping_options", 13550, 'v',
     "authorization_identifier:n foreign_server_catalog:n foreign_server_name:n "
     "option_name:n option_value:t"},
    {"information_schema", "user_mappings", 13555, 'v',
     "authorization_identifier:n foreign_server_catalog:n foreign_server_name:n"},
    {"information_schema", "view_column_usage", 13468, 'v',
     "view_catalog:n view_schema:n view_name:n table_catalog:n table_schema:n table_name:n "
     "column_name:n"},
    {"information_schema", "view_routine_usage", 13473, 'v',
     "table_catalog:n table_schema:n table_name:n specific_catalog:n specific_schema:n "
     "specific_name:n"},
    {"information_schema", "view_table_usage", 13478, 'v',
     "view_catalog:n view_schema:n view_name:n table_catalog:n table_schema:n table_name:n"},
    {"information_schema", "views", 13483, 'v',
     "table_catalog:n=freshet table_schema:n table_name:n view_definition:t "
     "check_option:t=NONE is_updatable:t=NO is_insertable_into:t=NO "
     "is_trigger_updatable:t=NO is_trigger_deletable:t=NO is_trigger_insertable_into:t=NO"},
};
/* clang-format on */

const size_t catalog_information_count = array_count(catalog_information);
