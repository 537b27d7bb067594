/* The views of pg_catalog: names, types and what a cell is unless a row says otherwise.
 *
 * name:letter, then * for a column without NULLs or =text for a value that most rows have (spaces
 * as ~). Letters: o oid, n name, c "char", t text, b boolean, i integer, s smallint, l bigint, x
 * xid, f real, d double, z timestamptz, v interval, p regproc, T text[], I int2vector, O oidvector.
 * Columns, their order and the numbers of relations are PostgreSQL 15's: tools ask for .* and read
 * by place. */
#include "query/func/catalog.h"

/* clang-format off */
const struct catalog_relation catalog_views[] = {
    {"pg_catalog", "pg_available_extension_versions", 12085, 'v',
     "name:n version:t installed:b superuser:b trusted:b relocatable:b schema:n requires:T "
     "comment:t"},
    {"pg_catalog", "pg_available_extensions", 12081, 'v',
     "name:n default_version:t installed_version:t comment:t"},
    {"pg_catalog", "pg_cursors", 12077, 'v',
     "name:t statement:t is_holdable:b is_binary:b is_scrollable:b creation_time:z"},
    {"pg_catalog", "pg_group", 12010, 'v',
     "groname:n grosysid:o grolist:O"},
    {"pg_catalog", "pg_indexes", 12043, 'v',
     "schemaname:n tablename:n indexname:n tablespace:n indexdef:t"},
    {"pg_catalog", "pg_locks", 12073, 'v',
     "locktype:t database:o relation:o page:i tuple:s virtualxid:t transactionid:x "
     "classid:o objid:o objsubid:s virtualtransaction:t pid:i mode:t granted:b fastpath:b "
     "waitstart:z"},
    {"pg_catalog", "pg_matviews", 12038, 'v',
     "schemaname:n matviewname:n matviewowner:n tablespace:n hasindexes:b ispopulated:b "
     "definition:t"},
    {"pg_catalog", "pg_policies", 12018, 'v',
     "schemaname:n tablename:n policyname:n permissive:t roles:T cmd:t qual:t with_check:t"},
    {"pg_catalog", "pg_prepared_statements", 12095, 'v',
     "name:t statement:t prepare_time:z parameter_types:O from_sql:b generic_plans:l "
     "custom_plans:l"},
    {"pg_catalog", "pg_prepared_xacts", 12090, 'v',
     "transaction:x gid:t prepared:z owner:n database:n"},
    {"pg_catalog", "pg_publication_tables", 12068, 'v',
     "pubname:n schemaname:n tablename:n attnames:T rowfilter:t"},
    {"pg_catalog", "pg_replication_slots", 12257, 'v',
     "slot_name:n plugin:n slot_type:t datoid:o database:n temporary:b active:b "
     "active_pid:i xmin:x catalog_xmin:x restart_lsn:t confirmed_flush_lsn:t wal_status:t "
     "safe_wal_size:l two_phase:b"},
    {"pg_catalog", "pg_roles", 12000, 'v',
     "rolname:n rolsuper:b=t rolinherit:b=t rolcreaterole:b=t rolcreatedb:b=t "
     "rolcanlogin:b=t rolreplication:b=f rolconnlimit:i=-1 rolpassword:t=******** "
     "rolvaliduntil:z rolbypassrls:b=t rolconfig:T oid:o"},
    {"pg_catalog", "pg_rules", 12023, 'v',
     "schemaname:n tablename:n rulename:n definition:t"},
    {"pg_catalog", "pg_seclabels", 12099, 'v',
     "objoid:o classoid:o objsubid:i objtype:t objnamespace:o objname:t provider:t label:t"},
    {"pg_catalog", "pg_sequences", 12048, 'v',
     "schemaname:n sequencename:n sequenceowner:n data_type:t start_value:l min_value:l "
     "max_value:l increment_by:l cycle:b cache_size:l last_value:l"},
    {"pg_catalog", "pg_settings", 12104, 'v',
     "name:t setting:t unit:t category:t=Freshet short_desc:t extra_desc:t context:t=user "
     "vartype:t=string source:t=default min_val:t max_val:t enumvals:T boot_val:t "
     "reset_val:t sourcefile:t sourceline:i pending_restart:b=f"},
    {"pg_catalog", "pg_shadow", 12005, 'v',
     "usename:n usesysid:o usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t "
     "valuntil:z useconfig:T"},
    {"pg_catalog", "pg_stat_activity", 12222, 'v',
     "datid:o datname:n pid:i leader_pid:i usesysid:o usename:n application_name:t "
     "client_addr:t client_hostname:t client_port:i backend_start:z xact_start:z "
     "query_start:z state_change:z wait_event_type:t wait_event:t state:t backend_xid:x "
     "backend_xmin:x query_id:l query:t backend_type:t"},
    {"pg_catalog", "pg_stat_all_indexes", 12183, 'v',
     "relid:o indexrelid:o schemaname:n relname:n indexrelname:n idx_scan:l idx_tup_read:l "
     "idx_tup_fetch:l"},
    {"pg_catalog", "pg_stat_all_tables", 12142, 'v',
     "relid:o schemaname:n relname:n seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l "
     "n_tup_ins:l n_tup_upd:l n_tup_del:l n_tup_hot_upd:l n_live_tup:l n_dead_tup:l "
     "n_mod_since_analyze:l n_ins_since_vacuum:l last_vacuum:z last_autovacuum:z "
     "last_analyze:z last_autoanalyze:z vacuum_count:l autovacuum_count:l analyze_count:l "
     "autoanalyze_count:l"},
    {"pg_catalog", "pg_stat_database", 12266, 'v',
     "datid:o datname:n numbackends:i xact_commit:l xact_rollback:l blks_read:l blks_hit:l "
     "tup_returned:l tup_fetched:l tup_inserted:l tup_updated:l tup_deleted:l conflicts:l "
     "temp_files:l temp_bytes:l deadlocks:l checksum_failures:l checksum_last_failure:z "
     "blk_read_time:d blk_write_time:d session_time:d active_time:d "
     "idle_in_transaction_time:d sessions:l sessions_abandoned:l sessions_fatal:l "
     "sessions_killed:l stats_reset:z"},
    {"pg_catalog", "pg_stat_user_indexes", 12192, 'v',
     "relid:o indexrelid:o schemaname:n relname:n indexrelname:n idx_scan:l idx_tup_read:l "
     "idx_tup_fetch:l"},
    {"pg_catalog", "pg_stat_user_tables", 12161, 'v',
     "relid:o schemaname:n relname:n seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l "
     "n_tup_ins:l n_tup_upd:l n_tup_del:l n_tup_hot_upd:l n_live_tup:l n_dead_tup:l "
     "n_mod_since_analyze:l n_ins_since_vacuum:l last_vacuum:z last_autovacuum:z "
     "last_analyze:z last_autoanalyze:z vacuum_count:l autovacuum_count:l analyze_count:l "
     "autoanalyze_count:l"},
    {"pg_catalog", "pg_statio_all_tables", 12170, 'v',
     "relid:o schemaname:n relname:n heap_blks_read:l heap_blks_hit:l idx_blks_read:l "
     "idx_blks_hit:l toast_blks_read:l toast_blks_hit:l tidx_blks_read:l tidx_blks_hit:l"},
    {"pg_catalog", "pg_statio_user_tables", 12179, 'v',
     "relid:o schemaname:n relname:n heap_blks_read:l heap_blks_hit:l idx_blks_read:l "
     "idx_blks_hit:l toast_blks_read:l toast_blks_hit:l tidx_blks_read:l tidx_blks_hit:l"},
    {"pg_catalog", "pg_tables", 12033, 'v',
     "schemaname:n tablename:n tableowner:n=freshet tablespace:n hasindexes:b=f "
     "hasrules:b=f hastriggers:b=f rowsecurity:b=f"},
    {"pg_catalog", "pg_timezone_abbrevs", 12122, 'v',
     "abbrev:t utc_offset:v is_dst:b"},
    {"pg_catalog", "pg_timezone_names", 12126, 'v',
     "name:t abbrev:t utc_offset:v is_dst:b"},
    {"pg_catalog", "pg_user", 12014, 'v',
     "usename:n usesysid:o usecreatedb:b=t usesuper:b=t userepl:b=f usebypassrls:b=t "
     "passwd:t=******** valuntil:z useconfig:T"},
    {"pg_catalog", "pg_user_mappings", 12327, 'v',
     "umid:o srvid:o srvname:n umuser:o usename:n umoptions:T"},
    {"pg_catalog", "pg_views", 12028, 'v',
     "schemaname:n viewname:n viewowner:n definition:t"},
};
/* clang-format on */

const size_t catalog_views_count = array_count(catalog_views);
