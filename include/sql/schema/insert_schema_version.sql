-- Records a migration as applied.
-- Parameters: version, name.
insert into economic.schema_version (version, name)
values (%(version)s, %(name)s);
