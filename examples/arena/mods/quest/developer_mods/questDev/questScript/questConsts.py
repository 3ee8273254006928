# -*- coding: utf-8 -*-
# 任务的名字，服务端两半共用
NAMESPACE = "quest"
SERVER = "questServer"
SERVICE = "questService"
CLIENT = "questClient"

SERVICE_TYPE = "service_quest"
MODULE = "quest"

GOAL = 3
TODAY = "今日任务：赢%d场"
DONE = "任务完成！你已赢了%d场"
