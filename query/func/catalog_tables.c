/* The tables of pg_catalog: names, types and what a cell is unless a row says otherwise.
 *
 * name:letter, then * for a column without NULLs or =text for a value that most rows have (spaces
 * as ~). Letters: o oid, n name, c "char", t text, b boolean, i integer, s smallint, l bigint, x
 * xid, f real, d double, z timestamptz, v interval, p regproc, T text[], I int2vector, O oidvector.
 * Columns, their order and the numbers of relations are PostgreSQL 15's: tools ask for .* and read
 * by place. */
#include "query/func/catalog.h"

/* clang-format off */
const struct catalog_relation catalog_tables[] = {
    {"pg_catalog", "pg_aggregate", 2600, 'r',
     "aggfnoid:p* aggkind:c* aggnumdirectargs:s* aggtransfn:p* aggfinalfn:p* "
     "aggcombinefn:p* aggserialfn:p* aggdeserialfn:p* aggmtransfn:p* aggminvtransfn:p* "
     "aggmfinalfn:p* aggfinalextra:b* aggmfinalextra:b* aggfinalmodify:c* "
     "aggmfinalmodify:c* aggsortop:o* aggtranstype:o* aggtransspace:i* aggmtranstype:o* "
     "aggmtransspace:i* agginitval:t aggminitval:t"},
    {"pg_catalog", "pg_am", 2601, 'r',
     "oid:o* amname:n* amhandler:p* amtype:c=t"},
    {"pg_catalog", "pg_amop", 2602, 'r',
     "oid:o* amopfamily:o* amoplefttype:o* amoprighttype:o* amopstrategy:s* amoppurpose:c* "
     "amopopr:o* amopmethod:o* amopsortfamily:o*"},
    {"pg_catalog", "pg_amproc", 2603, 'r',
     "oid:o* amprocfamily:o* amproclefttype:o* amprocrighttype:o* amprocnum:s* amproc:p*"},
    {"pg_catalog", "pg_attrdef", 2604, 'r',
     "oid:o* adrelid:o* adnum:s* adbin:t*"},
    {"pg_catalog", "pg_attribute", 1249, 'r',
     "attrelid:o* attname:n* atttypid:o* attstattarget:i=-1 attlen:s* attnum:s* "
     "attndims:i* attcacheoff:i=-1 atttypmod:i=-1 attbyval:b* attalign:c=i attstorage:c=p "
     "attcompression:c* attnotnull:b* atthasdef:b* atthasmissing:b* attidentity:c* "
     "attgenerated:c* attisdropped:b* attislocal:b=t attinhcount:i* attcollation:o* "
     "attacl:T attoptions:T attfdwoptions:T attmissingval:t"},
    {"pg_catalog", "pg_auth_members", 1261, 'r',
     "roleid:o* member:o* grantor:o* admin_option:b*"},
    {"pg_catalog", "pg_authid", 1260, 'r',
     "oid:o* rolname:n* rolsuper:b* rolinherit:b* rolcreaterole:b* rolcreatedb:b* "
     "rolcanlogin:b* rolreplication:b* rolbypassrls:b* rolconnlimit:i* rolpassword:t "
     "rolvaliduntil:z"},
    {"pg_catalog", "pg_cast", 2605, 'r',
     "oid:o* castsource:o* casttarget:o* castfunc:o* castcontext:c* castmethod:c*"},
    {"pg_catalog", "pg_class", 1259, 'r',
     "oid:o* relname:n* relnamespace:o* reltype:o* reloftype:o* relowner:o=10 relam:o=2 "
     "relfilenode:o* reltablespace:o* relpages:i* reltuples:f=-1 relallvisible:i* "
     "reltoastrelid:o=0 relhasindex:b* relisshared:b* relpersistence:c=p relkind:c=r "
     "relnatts:s* relchecks:s* relhasrules:b* relhastriggers:b* relhassubclass:b* "
     "relrowsecurity:b* relforcerowsecurity:b* relispopulated:b=t relreplident:c=d "
     "relispartition:b* relrewrite:o* relfrozenxid:x* relminmxid:x* relacl:T reloptions:T "
     "relpartbound:t"},
    {"pg_catalog", "pg_collation", 3456, 'r',
     "oid:o* collname:n* collnamespace:o=11 collowner:o=10 collprovider:c=c "
     "collisdeterministic:b=t collencoding:i=-1 collcollate:t collctype:t colliculocale:t "
     "collversion:t"},
    {"pg_catalog", "pg_constraint", 2606, 'r',
     "oid:o* conname:n* connamespace:o* contype:c* condeferrable:b* condeferred:b* "
     "convalidated:b* conrelid:o* contypid:o* conindid:o* conparentid:o* confrelid:o* "
     "confupdtype:c* confdeltype:c* confmatchtype:c* conislocal:b* coninhcount:i* "
     "connoinherit:b* conkey:I confkey:I conpfeqop:O conppeqop:O conffeqop:O "
     "confdelsetcols:I conexclop:O conbin:t"},
    {"pg_catalog", "pg_conversion", 2607, 'r',
     "oid:o* conname:n* connamespace:o* conowner:o* conforencoding:i* contoencoding:i* "
     "conproc:p* condefault:b*"},
    {"pg_catalog", "pg_database", 1262, 'r',
     "oid:o* datname:n* datdba:o=10 encoding:i=6 datlocprovider:c=c datistemplate:b* "
     "datallowconn:b=t datconnlimit:i=-1 datfrozenxid:x* datminmxid:x* "
     "dattablespace:o=1663 datcollate:t=C datctype:t=C.UTF-8 daticulocale:t "
     "datcollversion:t datacl:T"},
    {"pg_catalog", "pg_db_role_setting", 2964, 'r',
     "setdatabase:o* setrole:o* setconfig:T"},
    {"pg_catalog", "pg_default_acl", 826, 'r',
     "oid:o* defaclrole:o* defaclnamespace:o* defaclobjtype:c* defaclacl:T*"},
    {"pg_catalog", "pg_depend", 2608, 'r',
     "classid:o* objid:o* objsubid:i* refclassid:o* refobjid:o* refobjsubid:i* deptype:c*"},
    {"pg_catalog", "pg_description", 2609, 'r',
     "objoid:o* classoid:o* objsubid:i* description:t*"},
    {"pg_catalog", "pg_enum", 3501, 'r',
     "oid:o* enumtypid:o* enumsortorder:f* enumlabel:n*"},
    {"pg_catalog", "pg_event_trigger", 3466, 'r',
     "oid:o* evtname:n* evtevent:n* evtowner:o* evtfoid:o* evtenabled:c* evttags:T"},
    {"pg_catalog", "pg_extension", 3079, 'r',
     "oid:o* extname:n* extowner:o* extnamespace:o* extrelocatable:b* extversion:t* "
     "extconfig:O extcondition:T"},
    {"pg_catalog", "pg_foreign_data_wrapper", 2328, 'r',
     "oid:o* fdwname:n* fdwowner:o* fdwhandler:o* fdwvalidator:o* fdwacl:T fdwoptions:T"},
    {"pg_catalog", "pg_foreign_server", 1417, 'r',
     "oid:o* srvname:n* srvowner:o* srvfdw:o* srvtype:t srvversion:t srvacl:T srvoptions:T"},
    {"pg_catalog", "pg_foreign_table", 3118, 'r',
     "ftrelid:o* ftserver:o* ftoptions:T"},
    {"pg_catalog", "pg_index", 2610, 'r',
     "indexrelid:o* indrelid:o* indnatts:s* indnkeyatts:s* indisunique:b* "
     "indnullsnotdistinct:b* indisprimary:b* indisexclusion:b* indimmediate:b=t "
     "indisclustered:b* indisvalid:b=t indcheckxmin:b* indisready:b=t indislive:b=t "
     "indisreplident:b* indkey:I* indcollation:O* indclass:O* indoption:I* indexprs:t "
     "indpred:t"},
    {"pg_catalog", "pg_inherits", 2611, 'r',
     "inhrelid:o* inhparent:o* inhseqno:i* inhdetachpending:b*"},
    {"pg_catalog", "pg_init_privs", 3394, 'r',
     "objoid:o* classoid:o* objsubid:i* privtype:c* initprivs:T*"},
    {"pg_catalog", "pg_language", 2612, 'r',
     "oid:o* lanname:n* lanowner:o=10 lanispl:b* lanpltrusted:b* lanplcallfoid:o* "
     "laninline:o* lanvalidator:o* lanacl:T"},
    {"pg_catalog", "pg_largeobject_metadata", 2995, 'r',
     "oid:o* lomowner:o* lomacl:T"},
    {"pg_catalog", "pg_namespace", 2615, 'r',
     "oid:o* nspname:n* nspowner:o=10 nspacl:T"},
    {"pg_catalog", "pg_opclass", 2616, 'r',
     "oid:o* opcmethod:o* opcname:n* opcnamespace:o* opcowner:o* opcfamily:o* opcintype:o* "
     "opcdefault:b* opckeytype:o*"},
    {"pg_catalog", "pg_operator", 2617, 'r',
     "oid:o* oprname:n* oprnamespace:o* oprowner:o* oprkind:c* oprcanmerge:b* "
     "oprcanhash:b* oprleft:o* oprright:o* oprresult:o* oprcom:o* oprnegate:o* oprcode:p* "
     "oprrest:p* oprjoin:p*"},
    {"pg_catalog", "pg_opfamily", 2753, 'r',
     "oid:o* opfmethod:o* opfname:n* opfnamespace:o* opfowner:o*"},
    {"pg_catalog", "pg_parameter_acl", 6243, 'r',
     "oid:o* parname:t* paracl:T"},
    {"pg_catalog", "pg_partitioned_table", 3350, 'r',
     "partrelid:o* partstrat:c* partnatts:s* partdefid:o* partattrs:I* partclass:O* "
     "partcollation:O* partexprs:t"},
    {"pg_catalog", "pg_policy", 3256, 'r',
     "oid:o* polname:n* polrelid:o* polcmd:c* polpermissive:b* polroles:O* polqual:t "
     "polwithcheck:t"},
    {"pg_catalog", "pg_proc", 1255, 'r',
     "oid:o* proname:n* pronamespace:o=11 proowner:o=10 prolang:o=12 procost:f=1 prorows:f* "
     "provariadic:o* prosupport:p=- prokind:c* prosecdef:b* proleakproof:b* proisstrict:b* "
     "proretset:b* provolatile:c* proparallel:c=s pronargs:s* pronargdefaults:s* "
     "prorettype:o* proargtypes:O* proallargtypes:O proargmodes:T proargnames:T "
     "proargdefaults:t protrftypes:O prosrc:t* probin:t prosqlbody:t proconfig:T proacl:T"},
    {"pg_catalog", "pg_publication", 6104, 'r',
     "oid:o* pubname:n* pubowner:o* puballtables:b* pubinsert:b* pubupdate:b* pubdelete:b* "
     "pubtruncate:b* pubviaroot:b*"},
    {"pg_catalog", "pg_publication_namespace", 6237, 'r',
     "oid:o* pnpubid:o* pnnspid:o*"},
    {"pg_catalog", "pg_publication_rel", 6106, 'r',
     "oid:o* prpubid:o* prrelid:o* prqual:t prattrs:I"},
    {"pg_catalog", "pg_range", 3541, 'r',
     "rngtypid:o* rngsubtype:o* rngmultitypid:o* rngcollation:o* rngsubopc:o* "
     "rngcanonical:p* rngsubdiff:p*"},
    {"pg_catalog", "pg_replication_origin", 6000, 'r',
     "roident:o* roname:t*"},
    {"pg_catalog", "pg_rewrite", 2618, 'r',
     "oid:o* rulename:n* ev_class:o* ev_type:c* ev_enabled:c* is_instead:b* ev_qual:t* "
     "ev_action:t*"},
    {"pg_catalog", "pg_seclabel", 3596, 'r',
     "objoid:o* classoid:o* objsubid:i* provider:t* label:t*"},
    {"pg_catalog", "pg_sequence", 2224, 'r',
     "seqrelid:o* seqtypid:o* seqstart:l* seqincrement:l* seqmax:l* seqmin:l* seqcache:l* "
     "seqcycle:b*"},
    {"pg_catalog", "pg_shdepend", 1214, 'r',
     "dbid:o* classid:o* objid:o* objsubid:i* refclassid:o* refobjid:o* deptype:c*"},
    {"pg_catalog", "pg_shdescription", 2396, 'r',
     "objoid:o* classoid:o* description:t*"},
    {"pg_catalog", "pg_shseclabel", 3592, 'r',
     "objoid:o* classoid:o* provider:t* label:t*"},
    {"pg_catalog", "pg_statistic_ext", 3381, 'r',
     "oid:o* stxrelid:o* stxname:n* stxnamespace:o* stxowner:o* stxstattarget:i* "
     "stxkeys:I* stxkind:T* stxexprs:t"},
    {"pg_catalog", "pg_subscription", 6100, 'r',
     "oid:o* subdbid:o* subskiplsn:t* subname:n* subowner:o* subenabled:b* subbinary:b* "
     "substream:b* subtwophasestate:c* subdisableonerr:b* subconninfo:t* subslotname:n "
     "subsynccommit:t* subpublications:T*"},
    {"pg_catalog", "pg_subscription_rel", 6102, 'r',
     "srsubid:o* srrelid:o* srsubstate:c* srsublsn:t"},
    {"pg_catalog", "pg_tablespace", 1213, 'r',
     "oid:o* spcname:n* spcowner:o=10 spcacl:T spcoptions:T"},
    {"pg_catalog", "pg_trigger", 2620, 'r',
     "oid:o* tgrelid:o* tgparentid:o* tgname:n* tgfoid:o* tgtype:s* tgenabled:c* "
     "tgisinternal:b* tgconstrrelid:o* tgconstrindid:o* tgconstraint:o* tgdeferrable:b* "
     "tginitdeferred:b* tgnargs:s* tgattr:I* tgargs:t* tgqual:t tgoldtable:n tgnewtable:n"},
    {"pg_catalog", "pg_ts_config", 3602, 'r',
     "oid:o* cfgname:n* cfgnamespace:o* cfgowner:o* cfgparser:o*"},
    {"pg_catalog", "pg_ts_config_map", 3603, 'r',
     "mapcfg:o* maptokentype:i* mapseqno:i* mapdict:o*"},
    {"pg_catalog", "pg_ts_dict", 3600, 'r',
     "oid:o* dictname:n* dictnamespace:o* dictowner:o* dicttemplate:o* dictinitoption:t"},
    {"pg_catalog", "pg_ts_parser", 3601, 'r',
     "oid:o* prsname:n* prsnamespace:o* prsstart:p* prstoken:p* prsend:p* prsheadline:p* "
     "prslextype:p*"},
    {"pg_catalog", "pg_ts_template", 3764, 'r',
     "oid:o* tmplname:n* tmplnamespace:o* tmplinit:p* tmpllexize:p*"},
    {"pg_catalog", "pg_type", 1247, 'r',
     "oid:o* typname:n* typnamespace:o=11 typowner:o=10 typlen:s* typbyval:b* typtype:c* "
     "typcategory:c* typispreferred:b* typisdefined:b=t typdelim:c=, typrelid:o* "
     "typsubscript:p=- typelem:o* typarray:o* typinput:p* typoutput:p* typreceive:p=- "
     "typsend:p=- typmodin:p=- typmodout:p=- typanalyze:p=- typalign:c=i typstorage:c=p "
     "typnotnull:b* typbasetype:o* typtypmod:i=-1 typndims:i* typcollation:o* "
     "typdefaultbin:t typdefault:t typacl:T"},
    {"pg_catalog", "pg_user_mapping", 1418, 'r',
     "oid:o* umuser:o* umserver:o* umoptions:T"},
};
/* clang-format on */

const size_t catalog_tables_count = array_count(catalog_tables);
