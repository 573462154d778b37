(
unset http_proxy HTTP_PROXY;
METADATA=$ECS_CONTAINER_METADATA_URI_V4;
URL=$SIDECARLESS_URL/v1/ecs/task-stats;
AUTH="Authorization: Bearer $(echo $SIDECARLESS_TOKEN)";
TYPE="Content-Type: application/json";
if command -v curl; then
DOCUMENTS=$(curl -sf -m 3 $METADATA/task && curl -sf -m 3 $METADATA/task/stats) &&
printf %s "$DOCUMENTS" | curl -sf -m 6 -H "$AUTH" -H "$TYPE" --data-binary @- $URL;
else
DOCUMENTS=$(timeout 3 wget -qO- $METADATA/task && timeout 3 wget -qO- $METADATA/task/stats) &&
timeout 6 wget -qO- --header "$AUTH" --header "$TYPE" --post-data "$DOCUMENTS" $URL;
fi
) >/dev/null 2>&1
